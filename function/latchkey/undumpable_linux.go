package main

import "syscall"

// forbidDumps turns off core dumps, and keeps other processes of the same user from
// reading this one's memory and environment. Only root still can. The kernel turns
// them on again for each program that this one starts.
func forbidDumps() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
