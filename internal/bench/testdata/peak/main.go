// Command peak runs a command and writes the most memory that it had, in KiB, to a file.
//
// Linux counts the memory of the process that starts a command as the command's, so the
// starting one has to be small.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState != nil {
		used, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		err = errors.Join(err, os.WriteFile(os.Args[1], []byte(strconv.FormatInt(used.Maxrss, 10)), 0o600))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
