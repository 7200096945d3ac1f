package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

func idleWakeups(size, workers int) float64 {
	time.Sleep(100 * time.Millisecond)
	before := cpuMicroseconds()
	for i := 0; i < size; i++ {
		time.Sleep(time.Millisecond)
	}
	return (cpuMicroseconds() - before) / float64(size)
}

func lifoChain(size, workers int) float64 {
	most := make(chan int64, workers)
	for i := 0; i < workers; i++ {
		go func() {
			ball, back := make(chan int), make(chan int)
			var passes atomic.Int64
			var over atomic.Bool
			go func() {
				for range ball {
					passes.Add(1)
					back <- 0
				}
			}()
			seen := make(chan int64, 1)
			go func() {
				over.Store(true)
				seen <- passes.Load()
			}()
			for begun := time.Now(); !over.Load() && time.Since(begun) < 3*time.Second; {
				ball <- 0
				<-back
				passes.Add(1)
			}
			most <- <-seen
		}()
	}
	var value int64
	for i := 0; i < workers; i++ {
		value = max(value, <-most)
	}
	return float64(value)
}

func lifoHostage(size, workers int) float64 {
	free := 0
	for i := 0; i < size; i++ {
		called, done := make(chan int), make(chan bool)
		var ran atomic.Bool
		go func() {
			<-called
			ran.Store(true)
		}()
		time.Sleep(time.Millisecond)
		go func() {
			called <- 0
			for begun := time.Now(); !ran.Load() && time.Since(begun) < 500*time.Millisecond; {
			}
			done <- ran.Load()
		}()
		if <-done {
			free++
		}
	}
	return float64(free)
}

func priorityInversion(size, workers int) float64 {
	var lock sync.Mutex
	var turns atomic.Int64
	locked := make(chan int)
	go func() {
		lock.Lock()
		locked <- 0
		for i := 0; i < 5; i++ {
			runtime.Gosched()
		}
		lock.Unlock()
	}()
	<-locked
	for i := 0; i < workers*2; i++ {
		go func() {
			for {
				compute(time.Millisecond)
				turns.Add(1)
				runtime.Gosched()
			}
		}()
	}
	waited := make(chan int64)
	go func() {
		lock.Lock()
		waited <- turns.Load()
	}()
	return float64(<-waited) / float64(workers*2)
}

func mutexConvoy(size, workers int) float64 {
	const tasks = 32
	var lock sync.Mutex
	var all sync.WaitGroup
	before := switches()
	for i := 0; i < tasks; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < size; j++ {
				lock.Lock()
				compute(10 * time.Microsecond)
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	return (switches() - before) / float64(tasks*size)
}

// Nothing awaits a goroutine: a panic that it does not recover from ends the program.
func panicStorm(size, workers int) float64 {
	var all sync.WaitGroup
	for i := 0; i < size; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			panic("on purpose")
		}()
	}
	all.Wait()
	return 0
}

func awaitChain(size, workers int) float64 {
	first := make(chan int)
	last := first
	for i := 0; i < size; i++ {
		before, next := last, make(chan int)
		go func() { next <- 1 + <-before }()
		last = next
	}
	first <- 0
	return float64(<-last)
}

func cancelledTimers(size, workers int) float64 {
	ready := make(chan int, 1)
	set := func(count int) {
		for i := 0; i < count; i++ {
			ready <- 0
			select {
			case <-ready:
			case <-time.After(time.Hour):
			}
		}
		runtime.GC()
		debug.FreeOSMemory()
	}
	set(10_000)
	before := resident()
	set(size)
	return max(resident()-before, 0) / float64(size)
}

func queueBound(size, workers int) float64 {
	queue := make(chan int, 16)
	var taken atomic.Int64
	go func() {
		for i := 0; i < size; i++ {
			queue <- i
			taken.Add(1)
		}
	}()
	for before := int64(0); ; {
		time.Sleep(100 * time.Millisecond)
		if now := taken.Load(); now == before && now > 0 {
			return float64(now)
		} else {
			before = now
		}
	}
}
