package trail

import (
	"testing"
	"time"
)

// BenchmarkRecord records as roomaudit does while it catches up: batches of 500, each
// synced, in files of 8 MiB. TMPDIR says on which disk.
func BenchmarkRecord(b *testing.B) {
	const rows = 500
	w, err := Open(Options{Dir: b.TempDir(), MaxFileBytes: 8 << 20})
	if err != nil {
		b.Fatal(err)
	}
	at, seq := noon, uint64(0)
	for b.Loop() {
		b.StopTimer()
		batch := messages(seq+1, seq+rows, at)
		b.StartTimer()
		if err := w.Append(at, batch); err != nil {
			b.Fatal(err)
		}
		seq += rows
		at = at.Add(time.Second)
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "lines/s")
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
