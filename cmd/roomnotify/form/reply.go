package form

import (
	"fmt"
	"slices"
)

// A Step is what a mail server is asked for.
type Step string

// The steps of an e-mail, in their order.
const (
	Greeting  Step = "greeting" // also that it says what it can do
	StartTLS  Step = "STARTTLS"
	Login     Step = "login"
	Sender    Step = "sender"
	Recipient Step = "recipient"
	Content   Step = "content"
)

var (
	// mailBusy are codes of a server that works, and takes nothing at the moment. After the
	// content all but 421 may be about this e-mail alone, and it would hold up the others.
	mailBusy = []int{421, 450, 451, 452}

	// mailLogin are codes that ask for another login, at whatever step.
	mailLogin = []int{530, 534, 535, 538}
)

// JudgeReply returns what the reply of a mail server to a step means, if it is not
// that the step was done. Its text may have words of the server in it; said is one
// line of them.
//
// An e-mail is refused for good by 5xx to its sender, its recipients or its content.
// What a server has against every e-mail, such as a wrong password, is a failure of
// the target: its e-mails wait until that is corrected.
func JudgeReply(at Step, code int, said string) *Refusal {
	r := &Refusal{Text: fmt.Sprintf("%s: %d %s", at, code, said)}
	switch {
	case code == 421 || at != Content && slices.Contains(mailBusy, code):
		r.Busy = true
	case at == Login || slices.Contains(mailLogin, code):
		r.Text += "; check username and password: the e-mails wait"
	case code >= 500 && (at == Sender || at == Recipient || at == Content):
		r.Permanent = true
	}
	return r
}
