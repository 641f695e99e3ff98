package natstest

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// SetPasswords sets the variables that the configuration of operators asks for: each
// user has the password pass.
func SetPasswords(t testing.TB) {
	t.Helper()
	for _, name := range []string{"ROOMWATCH_NATS_PASSWORD", "SUBSCRIBER_NATS_PASSWORD", "ROOMNOTIFY_NATS_PASSWORD", "ROOMAUDIT_NATS_PASSWORD"} {
		t.Setenv(name, "pass")
	}
}

// Guarded is [Start] with the configuration that operators copy, perhaps without one
// of the subjects to which a user may publish. The user admin, with the password pass,
// may do everything in the account of that user.
func Guarded(t testing.TB, file, user, lacks string) *server.Server {
	t.Helper()
	return Start(t, func(o *server.Options) {
		loaded, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := o.StoreDir
		*o = *loaded
		o.Host, o.Port, o.StoreDir, o.NoSigs, o.NoLog, o.JetStream = "127.0.0.1", -1, dir, true, true, true
		for _, u := range slices.Clone(o.Users) {
			if u.Username == user {
				o.Users = append(o.Users, &server.User{Username: "admin", Password: "pass", Account: u.Account})
				u.Permissions.Publish.Allow = slices.DeleteFunc(u.Permissions.Publish.Allow, func(s string) bool { return s == lacks })
			}
		}
	})
}

// A Role is a user of the configuration that operators copy.
type Role struct {
	File, User string
	Subjects   int                       // at least so many, to which it may publish
	Except     func(subject string) bool // which of them are not tried; nil: none
}

// LeastPermissions lets the program of a role do everything, with all permissions of
// the file and with each subject less. use returns why the program ended by itself, or
// "": it must end exactly if a permission is missing, and name it.
func LeastPermissions(t *testing.T, r Role, use func(t *testing.T, srv *server.Server) string) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for requests that NATS does not answer")
	}
	SetPasswords(t)
	opts, err := server.ProcessConfigFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{""}
	for _, u := range opts.Users {
		if u.Username == r.User {
			all = append(all, slices.DeleteFunc(u.Permissions.Publish.Allow, func(s string) bool { return r.Except != nil && r.Except(s) })...)
		}
	}
	if len(all) <= r.Subjects {
		t.Fatalf("the file has %q", all)
	}
	t.Run("without", func(t *testing.T) {
		for _, lacks := range all {
			t.Run(lacks, func(t *testing.T) {
				t.Parallel()
				switch said := use(t, Guarded(t, r.File, r.User, lacks)); {
				case lacks == "" && said != "":
					t.Error(said)
				case lacks != "" && !strings.Contains(said, "grant it"):
					t.Errorf("without %s: %s", lacks, said)
				}
			})
		}
	})
}
