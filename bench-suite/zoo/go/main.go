// The zoo under Go. Called with the pathology, its size and the workers; prints lines of JSON. What each program does
// is said in src/zoo/pathologies, and what the server answers in src/zoo/client.rs.
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

// compute holds the goroutine for so long, without a call that could yield.
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

// resident is the memory that is resident, in bytes.
func resident() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kibibytes, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kibibytes * 1024
}
