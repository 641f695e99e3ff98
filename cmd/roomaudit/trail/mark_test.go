package trail

import (
	"testing"
	"time"
)

// What of a trail the present stream still had is found over files, a cut and
// another stream.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 2000})
	old, now := Position{Name: "LIVE", Created: noon}, Position{Name: "LIVE", Created: noon.Add(time.Hour)}
	must(t, w.Follow(old, noon, ""))
	must(t, w.Append(noon, messages(1, 12, noon)))
	must(t, w.Follow(now, noon, "recreated"))
	must(t, w.Append(noon, messages(1, 20, noon)))
	now.Last = 9
	must(t, w.Follow(now, noon, "cut"))
	if m := w.Newest(); m.Seq != 0 {
		t.Errorf("newest is %v, which the stream has lost", m)
	}
	must(t, w.Close())
	w = mustOpen(t, Options{Dir: dir, MaxFileBytes: 2000})
	if m := w.Newest(); m.Seq != 9 || !m.Stored.Equal(noon) {
		t.Errorf("newest is %v after a start", m)
	}
	must(t, w.Append(noon.Add(time.Second), messages(10, 11, noon.Add(time.Second))))
	all := map[uint64]time.Time{}
	must(t, w.Marks(func(marks []Mark) (bool, error) {
		for _, m := range marks {
			if _, twice := all[m.Seq]; twice {
				t.Errorf("message %d comes twice", m.Seq)
			}
			all[m.Seq] = m.Stored
		}
		return true, nil
	}))
	if len(all) != 11 || !all[10].Equal(noon.Add(time.Second)) {
		t.Errorf("marks %v", all)
	}
	files, err := Files(dir)
	if err != nil || len(files) < 6 {
		t.Errorf("%d files, %v: too few to try it", len(files), err)
	}
}
