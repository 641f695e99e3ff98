package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// checkPart looks at roomnotify or roomaudit in a release: its pod is as careful as that of
// roomwatch, and the names lead to it, and not to another pod.
func checkPart(t *testing.T, name string, part *release, whole release, known map[string]map[string]bool) {
	t.Helper()
	var template *core.PodTemplateSpec
	var claims []core.PersistentVolumeClaim
	var selector map[string]string
	switch {
	case name == "roomnotify" && len(part.deployments) == 1:
		template, selector = &part.deployments[0].Spec.Template, part.deployments[0].Spec.Selector.MatchLabels
	case name == "roomaudit" && len(part.sets) == 1:
		template, selector = &part.sets[0].Spec.Template, part.sets[0].Spec.Selector.MatchLabels
		claims = part.sets[0].Spec.VolumeClaimTemplates
	}
	if template == nil || len(part.services) != 1 {
		t.Fatalf("%s: %d Deployments, %d StatefulSets, %d Services", name, len(part.deployments), len(part.sets), len(part.services))
	}
	checkPod(t, template, claims, known)
	if got := strings.Join(template.Spec.Containers[0].Args, " "); got != name+" run" {
		t.Errorf("%s runs %s", name, got)
	}
	selects := func(s map[string]string) bool {
		for k, v := range s {
			if template.Labels[k] != v {
				return false
			}
		}
		return len(s) > 0
	}
	if !selects(selector) || !selects(part.services[0].Spec.Selector) {
		t.Errorf("%s: its own selectors pass it over", name)
	}
	if selects(whole.services[0].Spec.Selector) || selects(whole.sets[0].Spec.Selector.MatchLabels) {
		t.Errorf("%s is taken for roomwatch", name)
	}
	if len(part.policies) != len(whole.policies) || len(part.policies) == 1 && !selects(part.policies[0].Spec.PodSelector.MatchLabels) {
		t.Errorf("%s: its NetworkPolicy passes it over", name)
	}
	if len(part.monitors) != len(whole.monitors) {
		t.Errorf("%s: %d ServiceMonitors", name, len(part.monitors))
	}
	for _, m := range part.monitors {
		for k, v := range m.Spec.Selector.MatchLabels {
			if part.services[0].Labels[k] != v {
				t.Errorf("%s: the ServiceMonitor selects %s=%s", name, k, v)
			}
		}
		if job := m.Spec.Endpoints[0].RelabelConfigs[0].Replacement; *job != name {
			t.Errorf("%s is scraped as %s", name, *job)
		}
	}
}

// checkHelmTest looks whether `helm test` asks the service, and is let in.
func checkHelmTest(t *testing.T, r release) {
	t.Helper()
	if len(r.tests) != 1 || r.tests[0].Annotations["helm.sh/hook"] != "test" {
		t.Fatalf("%d tests", len(r.tests))
	}
	pod := r.tests[0]
	if env := pod.Spec.Containers[0].Env[0]; env.Value != fmt.Sprintf("%s:%d", r.services[0].Name, r.services[0].Spec.Ports[0].Port) {
		t.Errorf("the test asks %s", env.Value)
	}
	for _, p := range r.policies {
		from := p.Spec.Ingress[0].From
		letIn := slices.ContainsFunc(from, func(peer networking.NetworkPolicyPeer) bool {
			if peer.PodSelector == nil || peer.NamespaceSelector != nil {
				return false
			}
			for k, v := range peer.PodSelector.MatchLabels {
				if pod.Labels[k] != v {
					return false
				}
			}
			return true
		})
		if !letIn {
			t.Errorf("the test is not let in: %+v", from)
		}
	}
}

// The rules reach roomnotify as a directory, so that a change needs no restart, and are
// rules that it accepts; each part goes where it has to, and nowhere else.
func TestChartParts(t *testing.T) {
	r := rendered(t, chart+"/ci/programs-values.yaml")
	notify, audit := r.parts["roomnotify"], r.parts["roomaudit"]
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(notify.maps[0].Data["rules.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program(t, "roomnotify"), "check", "--rules", rules)
	cmd.Env = []string{"HOOK_SECRET=whsec_dGhlIGRlbW8gaGFzIG5vdGhpbmcgdG8gaGlkZQ==", "SLACK_URL=https://127.0.0.1:1/x", "NATS_URL=nats://127.0.0.1:1"}
	text, _ := cmd.CombinedOutput() // nobody is there to be reached
	if cmd.ProcessState.ExitCode() == 2 || !bytes.Contains(text, []byte("rules")) {
		t.Errorf("roomnotify refuses the rules:\n%s", text)
	}
	pod := notify.deployments[0].Spec.Template.Spec
	for _, m := range pod.Containers[0].VolumeMounts {
		if m.Name == "rules" && (m.MountPath != "/etc/roomnotify" || m.SubPath != "") {
			t.Errorf("the rules are mounted as %+v", m)
		}
	}
	if v := pod.Volumes[0]; v.ConfigMap == nil || v.ConfigMap.Name != notify.maps[0].Name {
		t.Errorf("the rules are %+v", v)
	}
	for name, want := range map[string]string{"roomnotify": "53 53 5353 5353 4443 443 8443 3129 465 25 587 3130", "roomaudit": "53 53 5353 5353 4443"} {
		var ports []string
		for _, e := range r.parts[name].policies[0].Spec.Egress {
			for _, p := range e.Ports {
				ports = append(ports, p.Port.String())
			}
		}
		if got := strings.Join(ports, " "); got != want {
			t.Errorf("%s is let out to %s, want %s", name, got, want)
		}
	}
	if c := audit.sets[0].Spec.VolumeClaimTemplates; len(c) != 1 || c[0].Name != "data" {
		t.Errorf("the trail's volume %+v", c)
	}
	backend := r.ingresses[0].Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Name != r.services[0].Name || backend.Port.Name != r.services[0].Spec.Ports[0].Name {
		t.Errorf("the ingress leads to %+v", backend)
	}
	if from := r.policies[0].Spec.Ingress[0].From[0]; from.NamespaceSelector == nil {
		t.Errorf("the ingress is not let in: %+v", from)
	}
	if !json.Valid([]byte(r.maps[0].Data["roomwatch.json"])) || r.maps[0].Labels["grafana_dashboard"] != "1" {
		t.Errorf("the dashboard: %v", r.maps[0].Labels)
	}
	claimed := rendered(t, chart+"/ci/partclaims-values.yaml").parts
	if v := claimed["roomnotify"].deployments[0].Spec.Template.Spec.Volumes[0]; v.ConfigMap == nil || v.ConfigMap.Name != "rules" || len(claimed["roomnotify"].maps) != 0 {
		t.Errorf("rules that exist: %+v", v)
	}
	if v := claimed["roomaudit"].sets[0].Spec; v.Template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != "trail" || len(v.VolumeClaimTemplates) != 0 {
		t.Errorf("a trail that exists: %+v", v)
	}
}

// Callbacks have a port of their own from the ingress to the container, and who may reach
// it reaches nothing else.
func TestChartCallbacks(t *testing.T) {
	r := rendered(t, chart+"/ci/callbacks-values.yaml")
	c := r.sets[0].Spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	if port := c.Ports[1]; port.Name != "webhook" || env["ROOMWATCH_WEBHOOK_ADDR"] != fmt.Sprintf("0.0.0.0:%d", port.ContainerPort) || port.ContainerPort != 8095 {
		t.Errorf("the container's port %+v, it listens on %s", port, env["ROOMWATCH_WEBHOOK_ADDR"])
	}
	if port := r.services[0].Spec.Ports[1]; port.Name != "webhook" || port.Port != 8095 || port.TargetPort.String() != "webhook" {
		t.Errorf("the service's port %+v", port)
	}
	items := r.sets[0].Spec.Template.Spec.Volumes[0].Secret.Items
	token := items[len(items)-1]
	if env["ROOMWATCH_WEBHOOK_TOKEN_FILE"] != "/etc/roomwatch/"+token.Path || r.secrets[0].StringData[token.Key] != "another-token" {
		t.Errorf("the token is %s in %+v, read from %s", token.Key, r.secrets[0].StringData, env["ROOMWATCH_WEBHOOK_TOKEN_FILE"])
	}
	paths := r.ingresses[0].Spec.Rules[0].HTTP.Paths
	if p := paths[0]; len(paths) != 2 || p.Path != "/webhook" || *p.PathType != networking.PathTypeExact || p.Backend.Service.Port.Name != "webhook" || paths[1].Backend.Service.Port.Name != "http" {
		t.Errorf("the ingress leads to %+v", paths)
	}
	in := r.policies[0].Spec.Ingress
	if len(in) != 2 || len(in[0].Ports) != 1 || in[0].Ports[0].Port.String() != "http" || len(in[1].Ports) != 1 || in[1].Ports[0].Port.String() != "webhook" || len(in[1].From) != 1 || in[1].From[0].NamespaceSelector == nil {
		t.Errorf("lets in %+v", in)
	}
	off := rendered(t, chart+"/ci/least-values.yaml")
	if len(off.services[0].Spec.Ports) != 1 || len(off.policies[0].Spec.Ingress) != 1 || len(off.sets[0].Spec.Template.Spec.Containers[0].Ports) != 1 {
		t.Error("the port is open where nobody asked for it")
	}
}
