// Package test holds what deploy/ promises, tried with the libraries of the
// tools that read it: Prometheus, Grafana's queries, compose, Helm, Kubernetes
// and BuildKit. It is a module of its own: their dependencies are none of
// roomwatch's.
package test
