package main

// The conversation with the lab: lab.child/1 in lines of JSON over standard input and output. While this process waits
// here for the next order, the lab reads what it has used.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Request is the lab's request.
type Request struct {
	Workload string            `json:"workload"`
	Workers  int               `json:"workers"`
	Seed     int64             `json:"seed"`
	Params   map[string]uint64 `json:"params"`
	Site     string            `json:"site"`
}

// Order follows the request: "run" or "stop".
type Order struct {
	Type        string `json:"type"`
	Repetitions int    `json:"repetitions"`
	Folder      string `json:"folder"`
}

// Outcome is the result of doing the work once.
type Outcome struct {
	Ops, Answer uint64
	LateNs      []int64
	MostAtOnce  *uint64
	Bad         *uint64
}

var input = bufio.NewReader(os.Stdin)

// nextOrder returns false if the lab says stop or is gone.
func nextOrder() (Order, bool) {
	var order Order
	line, err := input.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &order) != nil || order.Type == "stop" {
		return order, false
	}
	return order, true
}

func say(word map[string]any) {
	line, err := json.Marshal(word)
	if err != nil {
		fail("crashed", err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func fail(status string, err any) {
	say(map[string]any{"type": "failure", "status": status, "error": fmt.Sprint(err)})
	os.Exit(0)
}

// serveOrders executes orders: it does the work as many times as each says.
func serveOrders(workers int, run func(Order) (Outcome, error)) {
	say(map[string]any{"type": "ready", "workers": workers})
	for {
		order, more := nextOrder()
		if !more {
			return
		}
		var sum Outcome
		begun := time.Now()
		for i := 0; i < order.Repetitions; i++ {
			outcome, err := run(order)
			if err != nil {
				fail("wrong_answer", err)
			}
			sum.Ops += outcome.Ops
			sum.Answer += outcome.Answer
			sum.LateNs, sum.MostAtOnce, sum.Bad = outcome.LateNs, outcome.MostAtOnce, outcome.Bad
		}
		wall := time.Since(begun)
		done := map[string]any{"type": "done", "ops": sum.Ops, "wall_ns": wall.Nanoseconds(), "answer": sum.Answer}
		if sum.MostAtOnce != nil {
			done["most_at_once"] = *sum.MostAtOnce
		}
		if sum.Bad != nil {
			done["bad"] = *sum.Bad
		}
		say(done)
		if sum.LateNs != nil {
			// In a separate line, so that formatting it is not part of the work.
			say(map[string]any{"type": "late", "late_ns": sum.LateNs})
		}
	}
}
