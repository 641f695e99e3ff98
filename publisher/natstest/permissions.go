package natstest

import (
	"slices"
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
