// Command kube-apiserver is the API server of Kubernetes, built from its
// published modules for the tests of the Kubernetes store. latchkey does not link
// it.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	command := app.NewAPIServerCommand()
	os.Exit(cli.Run(command))
}
