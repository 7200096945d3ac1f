// The zoo under Go. The arguments are the pathology, its size and the workers; the output is lines of JSON.
// src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the server's answers.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var programs = map[string]func(size, workers int) float64{
	"idle-wakeups":       idleWakeups,
	"lifo-chain":         lifoChain,
	"lifo-hostage":       lifoHostage,
	"priority-inversion": priorityInversion,
	"mutex-convoy":       mutexConvoy,
	"panic-storm":        panicStorm,
	"await-chain":        awaitChain,
	"cancelled-timers":   cancelledTimers,
	"queue-bound":        queueBound,
}

func main() {
	name := os.Args[1]
	size, _ := strconv.Atoi(os.Args[2])
	workers, _ := strconv.Atoi(os.Args[3])
	runtime.GOMAXPROCS(workers)
	if program, found := programs[name]; found {
		fmt.Printf("{\"value\": %v}\n", program(size, workers))
		return
	}
	serve()
}

// compute occupies the goroutine for this time, without a call that could yield.
func compute(time_ time.Duration) {
	for begun := time.Now(); time.Since(begun) < time_; {
	}
}

// switches are the voluntary context switches of all threads so far.
func switches() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Nvcsw)
}

// cpuMicroseconds is the CPU time of all threads so far.
func cpuMicroseconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1000
}

// resident is the resident memory, in bytes.
func resident() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kibibytes, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kibibytes * 1024
}
