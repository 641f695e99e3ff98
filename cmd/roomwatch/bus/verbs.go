package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/micro"
)

const (
	serviceName = "roomwatch"
	description = "how roomwatch is doing, and the live rooms of its application"
)

// verbs are the endpoints by which clients find micro services: for all services,
// for those of this name, and for this one.
func (s *Service) verbs() (all []*endpoint) {
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info() },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		subject := micro.APIPrefix + "." + verb.String()
		for _, of := range []string{"", "." + serviceName, "." + serviceName + "." + s.id} {
			all = append(all, &endpoint{subject: subject + of, answer: func(context.Context, question) (any, error) { return answer(), nil }})
		}
	}
	return all
}

func (s *Service) identity() micro.ServiceIdentity {
	return micro.ServiceIdentity{
		Name: serviceName, ID: s.id, Version: semantic(s.c.Version),
		Metadata: map[string]string{"sdkappid": strconv.Itoa(s.c.SDKAppID)},
	}
}

// semantic returns a version as micro services have it, which have to have one.
func semantic(version string) string {
	if v, ok := strings.CutPrefix(version, "v"); ok {
		return v
	}
	return "0.0.0-" + version
}

func (s *Service) info() micro.Info {
	i := micro.Info{ServiceIdentity: s.identity(), Type: micro.InfoResponseType, Description: description, Endpoints: []micro.EndpointInfo{}}
	for _, e := range s.endpoints {
		if e.listed() {
			i.Endpoints = append(i.Endpoints, micro.EndpointInfo{Name: e.name, Subject: e.subject, QueueGroup: e.queue, Metadata: map[string]string{}})
		}
	}
	return i
}

func (s *Service) stats() micro.Stats {
	all := micro.Stats{ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.started, Endpoints: []*micro.EndpointStats{}}
	for _, e := range s.endpoints {
		if e.listed() {
			all.Endpoints = append(all.Endpoints, e.counted())
		}
	}
	return all
}

// listed reports whether the endpoint is one that answers now.
func (e *endpoint) listed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.name != "" && e.sub != nil
}

// counted returns what became of the questions, with those that were dropped.
func (e *endpoint) counted() *micro.EndpointStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	if e.sub != nil {
		if n, err := e.sub.Dropped(); err == nil {
			s.Data = fmt.Appendf(nil, `{"dropped":%d}`, n)
		}
	}
	return &s
}
