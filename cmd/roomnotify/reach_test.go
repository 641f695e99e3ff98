package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// Addresses of this link and of cloud metadata are forbidden in each way to write
// them, and those of other machines are not.
func TestForbiddenAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "::ffff:169.254.169.254": true, "64:ff9b::a9fe:a9fe": true,
		"fe80::1": true, "fe80::1%eth0": true, "fd00:ec2::254": true, "fd20:ce::254": true,
		"100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true, "0.0.0.0": true, "::": true, "224.0.0.1": true, "ff02::1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "fd00::1": false, "8.8.8.8": false, "64:ff9b::808:808": false,
	} {
		if got := forbidden(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %t, want %t", addr, got, want)
		}
	}
}

// nameserver answers each question of an IPv4 address with one.
func nameserver(t *testing.T, ip netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12
			for buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			end += 5
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
			if buf[end-3] == 1 && n >= end { // type A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
				reply = append(reply, ip.AsSlice()...)
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-served
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A name is judged by what it is resolved to, and the error says what to write.
func TestDialAfterTheNameWasResolved(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	target := parseRules(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n").Targets[0]
	d := dialer(&target)
	d.Resolver = nameserver(t, netip.MustParseAddr("127.0.0.1"))
	conn, err := d.DialContext(t.Context(), "tcp", "hooks.example.com:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	d.Resolver = nameserver(t, netip.MustParseAddr("169.254.169.254"))
	began := time.Now()
	if _, err := d.DialContext(t.Context(), "tcp", "hooks.example.com:"+port); err == nil || !strings.Contains(err.Error(), "169.254.169.254 is a link-local address") {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// Nothing is sent there, and what was to be sent is retried: the fix is in the
// rule file. With allow_private any address may be dialed.
func TestSenderRefusesMetadata(t *testing.T) {
	f := parseRules(t, "targets:\n  a: {kind: webhook, url: \"http://169.254.169.254/latest\", secret: \"${HOOK_SECRET}\"}\n"+hook("b", ", allow_private: true")+"rules:\n  r: {"+all+", targets: [a, b]}\n")
	target := &f.Targets[0]
	s := newSender(target, nil)
	defer s.client.CloseIdleConnections()
	err := s.send(t.Context(), form.New(roomEvent(1, "x", time.Now()), "r", "a", 0))
	var no *form.Refusal
	if !errors.As(err, &no) || no.Permanent || !strings.Contains(no.Text, "write another url, or allow_private: true") {
		t.Errorf("send: %v", err)
	}
	if err := reach(t.Context(), target); err == nil || !strings.Contains(err.Error(), "allow_private: true") {
		t.Errorf("check: %v", err)
	}
	if dialer(target).ControlContext == nil || dialer(&f.Targets[1]).ControlContext != nil {
		t.Error("allow_private makes no difference, or the wrong one")
	}
}
