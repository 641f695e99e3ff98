package diff

import (
	"fmt"
	"strings"
	"testing"
)

// A read that contradicts a callback is made again one, three and ten seconds after it,
// also of a room that is not known; one that agrees with it is not.
func TestReadsAfterCallbacks(t *testing.T) {
	for _, tt := range []struct{ name, told, answers, want string }{
		{"created, and the replica lags", "a+", "0.1- 1- 3- 10-", "1! 3! 10! never"},
		{"created, and found at last", "a+", "0.1- 1- 3+", "1! 3! never"},
		{"created and hidden", "a+", "0.1~", "never"},
		{"destroyed, and the replica lags", "a-", "0.1+ 1+ 3-", "1! 3! 6"},
		{"destroyed, and gone", "a-", "0.1-", "never"},
		{"updated", "a~", "0.1+", "never"},
		{"updated, and gone: one witness", "a~", "0.1-", "3.1"},
		{"no answer", "a+", "0.1? 3.1+", "3.1! never"},
		{"the answer left before the callback", "a~", "-0.1+ 1+", "1! never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
			c.play(t, "-1 page x; 0 told "+tt.told)
			var got []string
			for step := range strings.FieldsSeq(tt.answers) {
				outcome := map[byte]Outcome{'-': Gone, '+': Live, '~': Hidden, '?': NoAnswer}[step[len(step)-1]]
				var n float64
				if _, err := fmt.Sscan(step[:len(step)-1], &n); err != nil {
					t.Fatal(err)
				}
				c.Ask("a")
				f := c.Hear(Read{RoomID: "a", Sent: second(n), At: second(n), Outcome: outcome})
				again := "never"
				if !f.Again.IsZero() {
					again = fmt.Sprint(f.Again.Sub(second(0)).Seconds())
				}
				if f.Told {
					again += "!"
				}
				got = append(got, again)
			}
			if all := strings.Join(got, " "); all != tt.want {
				t.Errorf("read again at %s, want %s", all, tt.want)
			}
		})
	}
}

// A flood of callbacks is bounded, and old ones are forgotten.
func TestCallbacksAreForgotten(t *testing.T) {
	w := NewWitnesses(DefaultPolicy())
	for i := range mostTold + 10 {
		w.Tell(Callback{RoomID: fmt.Sprint(i), Kind: Destroyed, At: second(float64(i) / mostTold)})
	}
	if len(w.told) != mostTold {
		t.Errorf("%d are kept", len(w.told))
	}
	w.EndSweep(second(62), true)
	if len(w.told) != 0 {
		t.Errorf("%d are kept after a minute", len(w.told))
	}
}
