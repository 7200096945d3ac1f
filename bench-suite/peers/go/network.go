package main

// Servers and clients, with unmodified net and net/http.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func readRequest(request *Request) error {
	line, err := input.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, request)
}

func serve(workload string, p map[string]uint64, workers int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail("refused", err)
	}
	for i := uint64(0); i < p["hogs"]; i++ {
		go cpuBoundTask()
	}
	if workload == "http" {
		go http.Serve(listener, http.HandlerFunc(answer))
	} else {
		go acceptAll(listener)
	}
	say(map[string]any{"type": "listening", "address": listener.Addr().String(), "workers": workers})
	for more := true; more; {
		_, more = nextOrder()
	}
}

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "Hello, world!\n")
}

func acceptAll(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go echo(connection)
	}
}

// echo does not use io.Copy, which would splice. The lab's servers read into a buffer and write from it.
func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	for {
		length, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:length]); err != nil {
			return
		}
	}
}

var sink atomic.Uint64

// cpuBoundTask repeatedly computes for 100 ms without a pause and sleeps for 10 ms. A goroutine has no CPU clock, so
// the CPU time of these tasks is not reported.
func cpuBoundTask() {
	for state := uint64(0); ; {
		for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; {
			for i := 0; i < 1000; i++ {
				state = state*0x5851F42D4C957F2D + 1
			}
		}
		sink.Store(state)
		time.Sleep(10 * time.Millisecond)
	}
}

func get(client *http.Client, ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return body, nil
}

func crawl(p map[string]uint64, site string) (Outcome, error) {
	// A new connection per page, as in the workload.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	// A buffered channel is Go's counting semaphore.
	turns := make(chan struct{}, p["at_once"])
	type page struct {
		checksum uint64
		err      error
	}
	pages := make(chan page)
	var now, most atomic.Int64
	for index := uint64(0); index < p["size"]; index++ {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			at := now.Add(1)
			for seen := most.Load(); at > seen && !most.CompareAndSwap(seen, at); seen = most.Load() {
			}
			body, err := get(client, context.Background(), fmt.Sprintf("http://%s/%d", site, index))
			now.Add(-1)
			var sum uint64
			for _, b := range body {
				sum += uint64(b)
			}
			pages <- page{sum * (index + 1), err}
		}()
	}
	outcome := Outcome{Ops: p["size"]}
	for i := uint64(0); i < p["size"]; i++ {
		page := <-pages
		if page.err != nil {
			return outcome, page.err
		}
		outcome.Answer += page.checksum
	}
	atMost := uint64(most.Load())
	outcome.MostAtOnce = &atMost
	return outcome, nil
}

func urlOf(site string, index uint64) string {
	switch index % 100 {
	case 13:
		return fmt.Sprintf("http:/%d", index)
	case 57:
		return fmt.Sprintf("http://127.0.0.1:1/%d", index)
	case 83:
		return fmt.Sprintf("http://%s/missing/%d", site, index)
	}
	return fmt.Sprintf("http://%s/%d", site, index)
}

func save(path string, body []byte) error {
	if err := os.WriteFile(path+".partial", body, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".partial", path)
}

func download(p map[string]uint64, site, folder string) Outcome {
	const workers = 10
	type job struct{ url, path string }
	jobs := make(chan job, 1000)
	var saved, bad, there atomic.Uint64
	// With the default of 2 idle connections per host, most of the ten workers' connections would be closed repeatedly.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	defer client.CloseIdleConnections()
	limit := time.Duration(p["timeout_ms"]) * time.Millisecond
	go func() {
		defer close(jobs)
		for index := uint64(0); index < p["size"]; index++ {
			path := filepath.Join(folder, strconv.FormatUint(index, 10))
			if _, err := os.Stat(path); err == nil {
				there.Add(1)
				continue
			}
			jobs <- job{urlOf(site, index), path}
		}
	}()
	var all sync.WaitGroup
	for i := 0; i < workers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for job := range jobs {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				body, err := get(client, ctx, job.url)
				cancel()
				if err == nil {
					err = save(job.path, body)
				}
				if err != nil {
					bad.Add(1)
				} else {
					saved.Add(1)
				}
			}
		}()
	}
	all.Wait()
	reported := bad.Load()
	return Outcome{Ops: saved.Load() + reported + there.Load(), Answer: saved.Load(), Bad: &reported}
}
