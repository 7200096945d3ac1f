package main

// Goroutines that wait, to measure the memory that each of them keeps.

import (
	"net"
	"sync"
	"time"
)

// wait is the body of a goroutine. It calls begun when only the waiting is left.
type wait func(begun func()) error

// waiting defines how the goroutines of a workload wait.
func waiting(workload string) (func() (wait, error), error) {
	never := make(chan struct{})
	idle := func(begun func()) error {
		begun()
		<-never
		return nil
	}
	always := func(one wait) func() (wait, error) { return func() (wait, error) { return one, nil } }
	switch workload {
	case "idle-timer":
		return always(func(begun func()) error {
			begun()
			time.Sleep(time.Hour)
			return nil
		}), nil
	case "idle-stack":
		return always(func(begun func()) error {
			useStack()
			return idle(begun)
		}), nil
	case "idle-socket":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		return func() (wait, error) { return connected(listener) }, nil
	default:
		return always(idle), nil
	}
}

// clients keeps the other ends open.
var clients []net.Conn

func connected(listener net.Listener) (wait, error) {
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	clients = append(clients, client)
	accepted, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	return func(begun func()) error {
		var one [1]byte
		begun()
		_, err := accepted.Read(one[:])
		return err
	}, nil
}

//go:noinline
func useStack() byte {
	var kilobyte [1024]byte
	for i := range kilobyte {
		kilobyte[i] = byte(i)
	}
	return kilobyte[time.Now().Nanosecond()%len(kilobyte)]
}

// park starts goroutines and leaves them waiting.
func park(tasks uint64, next func() (wait, error)) error {
	var begun sync.WaitGroup
	for i := uint64(0); i < tasks; i++ {
		one, err := next()
		if err != nil {
			return err
		}
		begun.Add(1)
		go func() { _ = one(begun.Done) }()
	}
	begun.Wait()
	return nil
}
