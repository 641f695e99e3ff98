package state

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"roomwatch/diff"
)

func benchRoom(i int, views int64) diff.Room {
	return diff.Room{
		RoomID:       fmt.Sprintf("live_%08x_room", uint32(i)*2654435761),
		RoomName:     fmt.Sprintf("The room of host number %d", i),
		OwnerAccount: fmt.Sprintf("host_%d", i),
		CoverURL:     fmt.Sprintf("https://covers.example.com/live/%d/cover.png", i),
		Category:     []int64{1, 2, 3},
		CreateTime:   1693271354 + int64(i),
		ViewCount:    views,
	}
}

// benchStore is a state of n rooms whose disk is never waited for.
func benchStore(b *testing.B, n int) *Store {
	b.Helper()
	s, err := Open(Config{Path: filepath.Join(b.TempDir(), "state.db"), SDKAppID: 1, Policy: diff.DefaultPolicy()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	s.db.NoSync = true
	var page diff.Page
	for i := range n {
		page.Rooms = append(page.Rooms, benchRoom(i, 100))
		if len(page.Rooms) == 5000 || i == n-1 {
			page.At = time.Now()
			if err := s.Commit(page); err != nil {
				b.Fatal(err)
			}
			_, _, assigned := s.Position()
			if err := s.Stored(assigned); err != nil {
				b.Fatal(err)
			}
			page.Rooms = page.Rooms[:0]
		}
	}
	if err := s.trim(0); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkCommitPage is a page of 20 rooms against states of two sizes,
// without the disk's sync: nothing changed, and every view count changed.
func BenchmarkCommitPage(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		s := benchStore(b, n)
		for _, changed := range []bool{false, true} {
			b.Run(fmt.Sprintf("rooms=%d/changed=%t", n, changed), func(b *testing.B) {
				b.ReportAllocs()
				views := int64(100)
				page := diff.Page{Rooms: make([]diff.Room, 20)}
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					if changed {
						views = 1000 + int64(i)
					}
					for j := range page.Rooms {
						page.Rooms[j] = benchRoom((i*20+j)*7919%n, views)
						if !changed {
							page.Rooms[j].ViewCount = 100
						}
					}
					page.At = time.Now()
					_, _, assigned := s.Position()
					if err := s.Stored(assigned); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					if err := s.Commit(page); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSweepWrites reports what a sweep of 100,000 rooms writes when 100 of
// them changed: in one commit a page, as a slow list has it.
func BenchmarkSweepWrites(b *testing.B) {
	const n = 100_000
	s := benchStore(b, n)
	views := make([]int64, n)
	for i := range views {
		views[i] = 100
	}
	var written, commits int64
	for sweep := 0; b.Loop(); sweep++ {
		for i := range 100 {
			views[(sweep*100+i)*7919%n]++
		}
		seen := diff.NewSeen()
		begin := time.Now()
		before := s.db.Stats().TxStats
		for i := 0; i < n; i += 20 {
			page := diff.Page{At: time.Now(), Rooms: make([]diff.Room, 20)}
			for j := range page.Rooms {
				page.Rooms[j] = benchRoom(i+j, views[i+j])
				seen.Add(page.Rooms[j].Key())
			}
			if err := s.Commit(page); err != nil {
				b.Fatal(err)
			}
			_, _, assigned := s.Position()
			if err := s.Stored(assigned); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := s.EndSweep(diff.Sweep{Begin: begin, End: time.Now(), Complete: true, Seen: seen}); err != nil {
			b.Fatal(err)
		}
		after := s.db.Stats().TxStats
		written += after.GetPageAlloc() - before.GetPageAlloc()
		commits += after.GetWrite() - before.GetWrite()
	}
	b.ReportMetric(float64(written)/float64(b.N)/100, "bytes/changed")
	b.ReportMetric(float64(commits)/float64(b.N), "writes/sweep")
}
