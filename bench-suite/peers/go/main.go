// Go's goroutines, channels and standard library under the lab's workloads.
//
// This follows Effective Go and the standard library's examples: a goroutine per activity, results through channels, a
// WaitGroup if there is nothing to collect, sync.Mutex around shared state, unmodified net/http, contexts for
// time-outs. GOMAXPROCS is the lab's number of workers. Nothing is pooled or tuned.
package main

import "runtime"

func main() {
	var request Request
	if err := readRequest(&request); err != nil {
		fail("crashed", err)
	}
	if request.Workers > 0 {
		runtime.GOMAXPROCS(request.Workers)
	}
	workers := runtime.GOMAXPROCS(0)
	p := request.Params
	plain := func(run func() (uint64, uint64, error)) func(Order) (Outcome, error) {
		return func(Order) (Outcome, error) {
			ops, answer, err := run()
			return Outcome{Ops: ops, Answer: answer}, err
		}
	}
	switch request.Workload {
	case "spawn":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			return p["size"], spawnAndJoin(0, p["size"]), nil
		}))
	case "spawn-batch":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			return p["size"], spawnBatches(p["size"]), nil
		}))
	case "yield":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			done := yieldTogether(p["size"], p["yields"])
			return done, done, nil
		}))
	case "pingpong":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			answer, err := rally(p["size"])
			return p["size"], answer, err
		}))
	case "skynet-spawn":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			ops, answer := skynet(p["size"])
			return ops, answer, nil
		}))
	case "fib-spawn":
		forks := forksOf(p["size"])
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			return forks, fib(p["size"]), nil
		}))
	case "mpmc":
		serveOrders(workers, plain(func() (uint64, uint64, error) { return mpmc(p) }))
	case "mutex-contended":
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			counter := contend(p["size"], p["tasks"], p["held"])
			return p["size"] * p["tasks"], counter, nil
		}))
	case "timers":
		serveOrders(workers, func(Order) (Outcome, error) { return timers(p, request.Seed), nil })
	case "idle", "idle-timer", "idle-socket", "idle-stack":
		wait, err := waiting(request.Workload)
		serveOrders(workers, plain(func() (uint64, uint64, error) {
			if err == nil {
				err = park(p["size"], wait)
			}
			return p["size"], p["size"], err
		}))
	case "crawl":
		serveOrders(workers, func(Order) (Outcome, error) { return crawl(p, request.Site) })
	case "download":
		serveOrders(workers, func(order Order) (Outcome, error) { return download(p, request.Site, order.Folder), nil })
	case "echo", "http", "mixed":
		serve(request.Workload, p, workers)
	default:
		fail("refused", "no "+request.Workload+" here")
	}
}
