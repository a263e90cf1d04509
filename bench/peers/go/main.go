// Go's context and timers, called as the programs beside it: main WORKLOAD.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const times = 500000

var sink any

func now() int64 { return time.Since(begin).Nanoseconds() }

var begin = time.Now()

// The same numbers as bench.h.
type random uint64

func (s *random) next() uint64 {
	*s ^= *s << 13
	*s ^= *s >> 7
	*s ^= *s << 17
	return uint64(*s)
}

func (s *random) later() time.Duration {
	return time.Duration(1000000000 + s.next()%3599000000000)
}

func shuffle(n int) []int {
	s := random(88172645463325252)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		k := int(s.next() % uint64(i+1))
		order[i], order[k] = order[k], order[i]
	}
	return order
}

func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

func comeAndGo(parent context.Context) {
	for i := 0; i < times; i++ {
		_, cancel := context.WithCancel(parent)
		cancel()
	}
}

func w1(n int) float64 {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := 0; i < n; i++ {
		_, stop := context.WithCancel(parent)
		_ = stop
	}
	begun := now()
	comeAndGo(parent)
	return float64(now()-begun) / times
}

func makeTimed(n int, parent context.Context) []context.CancelFunc {
	s := random(1)
	all := make([]context.CancelFunc, n)
	for i := range all {
		_, all[i] = context.WithTimeout(parent, s.later())
	}
	return all
}

func w2(n int) float64 {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	others := makeTimed(n, parent)
	begun := now()
	for i := 0; i < times; i++ {
		_, cancel := context.WithTimeout(parent, time.Hour)
		cancel()
	}
	took := now() - begun
	runtime.KeepAlive(others)
	return float64(took) / times
}

func w3(int) float64 {
	c, cancel := context.WithCancel(context.Background())
	defer cancel()
	sum := 0
	begun := now()
	for i := 0; i < 20000000; i++ {
		select {
		case <-c.Done():
			sum++
		default:
		}
	}
	sink = sum
	return float64(now()-begun) / 20000000
}

func w3err(int) float64 {
	c, cancel := context.WithCancel(context.Background())
	defer cancel()
	sum := 0
	begun := now()
	for i := 0; i < 20000000; i++ {
		if c.Err() != nil {
			sum++
		}
	}
	sink = sum
	return float64(now()-begun) / 20000000
}

func rounds(n int) int {
	if n < 100000 {
		return 200000 / n
	}
	return 1
}

func end(n int, deep bool) float64 {
	var took int64
	for r := 0; r < rounds(n); r++ {
		top, cancel := context.WithCancel(context.Background())
		all := make([]context.Context, n)
		c := top
		for i := range all {
			below, stop := context.WithCancel(c)
			all[i] = below
			_ = stop
			if deep {
				c = below
			}
		}
		begun := now()
		cancel()
		took += now() - begun
		runtime.KeepAlive(all)
	}
	return float64(took) / float64(rounds(n)*n)
}

func w4(n int) float64 { return end(n, false) }
func w5(n int) float64 { return end(n, true) }

type key int

func ask(n int, cancels bool) float64 {
	c := context.Background()
	for i := 0; i < n; i++ {
		c = context.WithValue(c, key(i), &sink)
		if cancels {
			c, _ = context.WithCancel(c)
		}
	}
	count := 20000000/(n+5) + 1
	begun := now()
	for i := 0; i < count; i++ {
		sink = c.Value(key(0))
	}
	return float64(now()-begun) / float64(count)
}

func w6(n int) float64  { return ask(n, false) }
func w6c(n int) float64 { return ask(n, true) }

func w7i(n int) float64 {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	begun := now()
	all := makeTimed(n, parent)
	took := now() - begun
	runtime.KeepAlive(all)
	return float64(took) / float64(n)
}

func cancelAll(n int, order []int) float64 {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := makeTimed(n, parent)
	begun := now()
	for _, i := range order {
		all[i]()
	}
	return float64(now()-begun) / float64(n)
}

func w7c(n int) float64 { return cancelAll(n, inOrder(n)) }
func w7r(n int) float64 { return cancelAll(n, shuffle(n)) }

func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func w7f(n int) float64 {
	s := random(1)
	var mutex sync.Mutex
	var all sync.WaitGroup
	all.Add(n)
	late := make([]int64, 0, n)
	start := now() + 2000000000
	for i := 0; i < n; i++ {
		due := start + int64(s.next()%2000000000)
		time.AfterFunc(time.Duration(due-now()), func() {
			mutex.Lock()
			late = append(late, now()-due)
			mutex.Unlock()
			all.Done()
		})
	}
	before := cpu()
	all.Wait()
	took := cpu() - before
	sort.Slice(late, func(i, k int) bool { return late[i] < late[k] })
	line(os.Args[1], "p50 us", float64(late[n/2])/1e3)
	line(os.Args[1], "p99 us", float64(late[n*99/100])/1e3)
	line(os.Args[1], "max us", float64(late[n-1])/1e3)
	return float64(took) / float64(n)
}

func gain(own bool) float64 {
	var parents [2]context.Context
	for i := range parents {
		var cancel context.CancelFunc
		parents[i], cancel = context.WithCancel(context.Background())
		defer cancel()
	}
	begun := now()
	comeAndGo(parents[0])
	one := now() - begun
	if !own {
		parents[1] = parents[0]
	}
	var both sync.WaitGroup
	both.Add(2)
	begun = now()
	for i := 0; i < 2; i++ {
		go func(c context.Context) { comeAndGo(c); both.Done() }(parents[i])
	}
	both.Wait()
	return 2 * float64(one) / float64(now()-begun)
}

func w8p(int) float64 { return gain(false) }
func w8o(int) float64 { return gain(true) }

func w9(int) float64 {
	const wakes = 200
	took := make([]int64, wakes)
	for i := range took {
		c, cancel := context.WithCancel(context.Background())
		woken := make(chan int64)
		go func() {
			<-c.Done()
			woken <- now()
		}()
		time.Sleep(time.Millisecond)
		begun := now()
		cancel()
		took[i] = <-woken - begun
	}
	sort.Slice(took, func(i, k int) bool { return took[i] < took[k] })
	return float64(took[wakes/2])
}

func bytes(timed bool) float64 {
	const many = 1000000
	var before, after runtime.MemStats
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := make([]context.Context, many)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		if timed {
			all[i], _ = context.WithTimeout(parent, time.Hour)
		} else {
			all[i], _ = context.WithCancel(parent)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(all)
	return float64(after.HeapAlloc-before.HeapAlloc) / many
}

func line(workload, metric string, value float64) {
	fmt.Printf("Go\t%s\t%s\t%.3f\n", workload, metric, value)
}

func size(text string) int {
	factor := 1
	if strings.HasSuffix(text, "K") {
		factor = 1000
	} else if strings.HasSuffix(text, "M") {
		factor = 1000000
	}
	n, _ := strconv.Atoi(strings.TrimRight(text, "KM"))
	return n * factor
}

func main() {
	type workload struct {
		metric string
		run    func(int) float64
	}
	all := map[string]workload{
		"W1": {"ns", w1}, "W2": {"ns", w2}, "W3": {"ns", w3}, "W3err": {"ns", w3err}, "W4": {"ns", w4},
		"W5": {"ns", w5}, "W6": {"ns", w6}, "W6c": {"ns", w6c}, "W7i": {"ns", w7i}, "W7c": {"ns", w7c},
		"W7r": {"ns", w7r}, "W7f": {"ns", w7f}, "W8p": {"x", w8p}, "W8o": {"x", w8o}, "W9": {"ns", w9},
		"Mc": {"bytes", func(int) float64 { return bytes(false) }},
		"Md": {"bytes", func(int) float64 { return bytes(true) }},
	}
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	if len(os.Args) == 2 {
		name, n, _ := strings.Cut(os.Args[1], "-")
		if w, ok := all[name]; ok {
			line(os.Args[1], w.metric, w.run(size(n)))
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: main WORKLOAD")
	os.Exit(2)
}
