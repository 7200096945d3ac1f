package main

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const held = 2 * time.Second

// streamed is the number of KiB that the writes of `s` have accepted.
var streamed atomic.Int64

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"listening\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	accept(listener)
}

func accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			// No descriptor is left. There may be one later.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go answer(listener, connection)
	}
}

func answer(listener net.Listener, connection net.Conn) {
	defer connection.Close()
	byte_ := make([]byte, 1)
	for {
		if _, err := connection.Read(byte_); err != nil {
			return
		}
		switch byte_[0] {
		case 's':
			chunk := make([]byte, 64*1024)
			for i := 0; i < 4096; i++ {
				if _, err := connection.Write(chunk); err != nil {
					return
				}
				streamed.Add(64)
			}
			continue
		case 'c':
			fmt.Fprintf(connection, "%d\n", streamed.Load())
			continue
		}
		connection.Write(byte_)
		switch byte_[0] {
		case 'h':
			compute(held)
			connection.Write([]byte("d"))
		case 'b':
			// Not time.Sleep, which parks the goroutine.
			left := syscall.NsecToTimespec(int64(held))
			for syscall.Nanosleep(&left, &left) == syscall.EINTR {
			}
			connection.Write([]byte("d"))
		case 'y':
			go func() {
				for {
					runtime.Gosched()
				}
			}()
		case 'a':
			for i := 0; i < 1000; i++ {
				go accept(listener)
			}
		}
	}
}
