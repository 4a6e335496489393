// Command kube-apiserver is the API server of Kubernetes, built from its
// published modules so that the tests of the Kubernetes store meet the server
// itself. No part of latchkey links it.
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
