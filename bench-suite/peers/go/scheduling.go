package main

// Pure scheduling, recursion, locks and queues.

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spawnAndJoin starts a goroutine for each number and collects the results. A goroutine has no result of its own, so
// each gets a place for it, and a WaitGroup waits for all of them.
func spawnAndJoin(begin, end uint64) uint64 {
	results := make([]uint64, end-begin)
	var all sync.WaitGroup
	for n := begin; n < end; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			results[n-begin] = n
		}()
	}
	all.Wait()
	var sum uint64
	for _, result := range results {
		sum += result
	}
	return sum
}

func spawnBatches(size uint64) uint64 {
	const batch = 100
	var sum uint64
	for begin := uint64(0); begin < size; begin += batch {
		sum += spawnAndJoin(begin, min(size, begin+batch))
	}
	return sum
}

func yieldTogether(tasks, yields uint64) uint64 {
	var done atomic.Uint64
	var all sync.WaitGroup
	for i := uint64(0); i < tasks; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := uint64(0); j < yields; j++ {
				runtime.Gosched()
			}
			done.Add(yields)
		}()
	}
	all.Wait()
	return done.Load()
}

func rally(roundTrips uint64) (uint64, error) {
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	go func() {
		for n := range there {
			back <- n + 1
		}
		close(back)
	}()
	type outcome struct {
		sum uint64
		err error
	}
	result := make(chan outcome)
	go func() {
		defer close(there)
		var sum uint64
		for n := uint64(0); n < roundTrips; n++ {
			there <- n
			answer := <-back
			if answer != n+1 {
				result <- outcome{err: fmt.Errorf("the answer to %d is %d", n, answer)}
				return
			}
			sum += answer
		}
		result <- outcome{sum: sum}
	}()
	played := <-result
	return played.sum, played.err
}

// skynetNode is the benchmark's own Go version: the children send their sums to the parent's channel.
func skynetNode(result chan<- uint64, first, leaves uint64) {
	if leaves == 1 {
		result <- first
		return
	}
	below := leaves / 10
	children := make(chan uint64)
	for child := uint64(0); child < 10; child++ {
		go skynetNode(children, first+child*below, below)
	}
	var sum uint64
	for child := 0; child < 10; child++ {
		sum += <-children
	}
	result <- sum
}

func skynet(levels uint64) (nodes, sum uint64) {
	leaves := uint64(1)
	nodes = 1
	for i := uint64(0); i < levels; i++ {
		leaves *= 10
		nodes += leaves
	}
	result := make(chan uint64)
	go skynetNode(result, 0, leaves)
	return nodes, <-result
}

func fib(n uint64) uint64 {
	result := make(chan uint64, 1)
	go func() { result <- fibTasks(n) }()
	return <-result
}

func fibTasks(n uint64) uint64 {
	if n < 2 {
		return n
	}
	child := make(chan uint64, 1)
	go func() { child <- fibTasks(n - 1) }()
	here := fibTasks(n - 2)
	return here + <-child
}

func forksOf(n uint64) uint64 {
	if n < 2 {
		return 0
	}
	return 1 + forksOf(n-1) + forksOf(n-2)
}

func mpmc(p map[string]uint64) (uint64, uint64, error) {
	type item struct{ producer, number uint64 }
	each := p["size"]
	queue := make(chan item, p["capacity"])
	if p["alone"] == 1 {
		var sum uint64
		for n := uint64(0); n < each; n++ {
			queue <- item{number: n}
			sum += (<-queue).number
		}
		return each, sum, nil
	}
	var producing, consuming sync.WaitGroup
	var count, sum atomic.Uint64
	var disorder atomic.Bool
	for c := uint64(0); c < p["consumers"]; c++ {
		consuming.Add(1)
		go func() {
			defer consuming.Done()
			next := make([]uint64, p["producers"])
			var counted, summed uint64
			for item := range queue {
				if item.number < next[item.producer] {
					disorder.Store(true)
				}
				next[item.producer] = item.number + 1
				counted++
				summed += item.number
			}
			count.Add(counted)
			sum.Add(summed)
		}()
	}
	for producer := uint64(0); producer < p["producers"]; producer++ {
		producing.Add(1)
		go func() {
			defer producing.Done()
			for n := uint64(0); n < each; n++ {
				queue <- item{producer, n}
			}
		}()
	}
	producing.Wait()
	close(queue)
	consuming.Wait()
	if disorder.Load() {
		return 0, 0, fmt.Errorf("a producer's items came out of order")
	}
	return count.Load(), sum.Load(), nil
}

// contend: Go's mutex lets a newcomer overtake the waiters, unless one has waited for a millisecond. This is cheaper
// than handing the lock over in order, and it is what Go's users get.
func contend(each, tasks, held uint64) uint64 {
	var lock sync.Mutex
	var counter uint64
	var all sync.WaitGroup
	for i := uint64(0); i < tasks; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := uint64(0); j < each; j++ {
				lock.Lock()
				for k := uint64(0); k < held; k++ {
					runtime.Gosched()
				}
				counter++
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	return counter
}

func timers(p map[string]uint64, seed int64) Outcome {
	chance := rand.New(rand.NewSource(seed))
	span := int64(p["span_ms"]) * int64(time.Millisecond)
	late := make([]int64, p["size"])
	var all sync.WaitGroup
	for i := range late {
		deadline := time.Now().Add(time.Duration(chance.Int63n(span + 1)))
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(time.Until(deadline))
			late[i] = int64(time.Since(deadline))
		}()
	}
	all.Wait()
	return Outcome{Ops: p["size"], Answer: p["size"], LateNs: late}
}
