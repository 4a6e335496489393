package demo

import "syscall"

// ownGroup puts a process in a group of its own. The kernel kills it when the demo
// dies.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
