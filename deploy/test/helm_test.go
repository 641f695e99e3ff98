package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	openapi "github.com/google/gnostic-models/openapiv2"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kube "k8s.io/client-go/kubernetes/scheme"
	resources "k8s.io/kubectl/pkg/util/openapi"
	"k8s.io/kubectl/pkg/validation"
	"sigs.k8s.io/yaml"
)

const chart = "../helm/roomwatch"

// helmPath is where the helm that go.mod names was compiled to, once for all tests.
var helmPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "helm").Output()
	return strings.TrimSpace(string(out)), err
})

// helm runs it.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := helmPath()
	if err != nil {
		t.Fatalf("go tool -n helm: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out) + stderr.String(), err
	}
	return string(out), nil
}

// A release is what the chart makes of a file of values, decoded with unknown
// fields refused.
type release struct {
	sets     []*apps.StatefulSet
	services []*core.Service
	secrets  []*core.Secret
	accounts []*core.ServiceAccount
	policies []*networking.NetworkPolicy
	monitors []*monitoring.ServiceMonitor
	rules    []*monitoring.PrometheusRule
	budgets  []*policy.PodDisruptionBudget

	deployments []*apps.Deployment
	maps        []*core.ConfigMap
	ingresses   []*networking.Ingress
	tests       []*core.Pod

	parts map[string]*release // roomnotify and roomaudit
}

// of returns the part of a release that an object belongs to, by its label.
func (r *release) of(t *testing.T, o runtime.Object) *release {
	t.Helper()
	m, err := meta.Accessor(o)
	if err != nil {
		t.Fatal(err)
	}
	name := m.GetLabels()["app.kubernetes.io/name"]
	if !slices.Contains(programs[1:], name) {
		return r
	}
	if r.parts[name] == nil {
		r.parts[name] = &release{}
	}
	return r.parts[name]
}

func rendered(t *testing.T, values string, set ...string) release {
	t.Helper()
	args := []string{"template", "rw", chart, "--namespace", "live", "--kube-version", "1.33.0", "--values", values}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	out, err := helm(t, args...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	decode, schema := decoder(t), apiSchema(t)
	all := release{parts: map[string]*release{}}
	for text := range strings.SplitSeq(out, "\n---\n") {
		if strings.TrimSpace(strings.TrimPrefix(text, "---")) == "" {
			continue
		}
		o, _, err := decode.Decode([]byte(text), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		r := all.of(t, o)
		switch o := o.(type) {
		case *apps.Deployment:
			r.deployments = append(r.deployments, o)
		case *core.ConfigMap:
			r.maps = append(r.maps, o)
		case *networking.Ingress:
			r.ingresses = append(r.ingresses, o)
		case *core.Pod:
			r.tests = append(r.tests, o)
		case *apps.StatefulSet:
			r.sets = append(r.sets, o)
		case *core.Service:
			r.services = append(r.services, o)
		case *core.Secret:
			r.secrets = append(r.secrets, o)
		case *core.ServiceAccount:
			r.accounts = append(r.accounts, o)
		case *networking.NetworkPolicy:
			r.policies = append(r.policies, o)
		case *policy.PodDisruptionBudget:
			r.budgets = append(r.budgets, o)
		case *monitoring.ServiceMonitor:
			r.monitors = append(r.monitors, o)
			continue // Kubernetes knows no schema of it
		case *monitoring.PrometheusRule:
			r.rules = append(r.rules, o)
			continue
		default:
			t.Fatalf("unexpected %T", o)
		}
		if err := schema.ValidateBytes([]byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	return all
}

// decoder refuses fields that Kubernetes or the Prometheus operator do not know.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kube.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// apiSchema is Kubernetes' own, as kubectl has it: it knows required fields too.
func apiSchema(t *testing.T) validation.Schema {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubectl").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "openapi", "swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.ParseDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := resources.NewOpenAPIData(doc)
	if err != nil {
		t.Fatal(err)
	}
	return validation.NewSchemaValidation(getter{data})
}

type getter struct{ resources.Resources }

func (g getter) OpenAPISchema() (resources.Resources, error) { return g.Resources, nil }

func TestChart(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files of values, %v", len(files), err)
	}
	known := map[string]map[string]bool{}
	for _, name := range programs {
		known[name] = variableNames(t, name)
	}
	for _, values := range files {
		t.Run(strings.TrimSuffix(filepath.Base(values), "-values.yaml"), func(t *testing.T) {
			if out, err := helm(t, "lint", "--strict", chart, "--kube-version", "1.33.0", "--values", values); err != nil {
				t.Errorf("helm lint: %v\n%s", err, out)
			}
			r := rendered(t, values)
			if len(r.sets) != 1 || len(r.services) != 1 {
				t.Fatalf("%d StatefulSets, %d Services", len(r.sets), len(r.services))
			}
			checkPod(t, &r.sets[0].Spec.Template, r.sets[0].Spec.VolumeClaimTemplates, known)
			checkReferences(t, r)
			for name, part := range r.parts {
				checkPart(t, name, part, r, known)
			}
			checkHelmTest(t, r)
		})
	}
}

// checkPod looks at what must hold whatever the values are.
func checkPod(t *testing.T, template *core.PodTemplateSpec, claims []core.PersistentVolumeClaim, known map[string]map[string]bool) {
	t.Helper()
	pod := template.Spec
	p, c := pod.SecurityContext, pod.Containers[0]
	root := p.RunAsUser != nil && *p.RunAsUser == 0 || c.SecurityContext.RunAsUser != nil && *c.SecurityContext.RunAsUser == 0
	if !*p.RunAsNonRoot || root || p.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Errorf("the pod's security %+v", p)
	}
	if k := c.SecurityContext; !*k.ReadOnlyRootFilesystem || *k.AllowPrivilegeEscalation || !slices.Equal(k.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("the container's security %+v", k)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.StartupProbe.HTTPGet.Path != "/healthz" {
		t.Error("the probes ask elsewhere")
	}
	set := map[string]bool{}
	for _, e := range c.Env {
		if set[e.Name] {
			t.Errorf("%s is set twice", e.Name)
		}
		set[e.Name] = true
		if ours := strings.HasPrefix(e.Name, "ROOM") || strings.HasPrefix(e.Name, "NATS_"); ours && !known[c.Args[0]][e.Name] {
			t.Errorf("%s knows no variable %s", c.Args[0], e.Name)
		}
		if strings.Contains(e.Value, "e+") {
			t.Errorf("%s is %s", e.Name, e.Value)
		}
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.Secret != nil && *v.Secret.DefaultMode != 0o440 {
			t.Errorf("files of volume %s have mode %o", v.Name, *v.Secret.DefaultMode)
		}
	}
	for _, v := range claims {
		volumes[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
}

// checkReferences follows the names from one object to the other.
func checkReferences(t *testing.T, r release) {
	t.Helper()
	s, service := r.sets[0], r.services[0]
	labels := s.Spec.Template.Labels
	selectors := map[string]map[string]string{
		"StatefulSet": s.Spec.Selector.MatchLabels, "Service": service.Spec.Selector,
	}
	for _, p := range r.policies {
		selectors["NetworkPolicy"] = p.Spec.PodSelector.MatchLabels
	}
	for _, b := range r.budgets {
		selectors["PodDisruptionBudget"] = b.Spec.Selector.MatchLabels
	}
	for what, selector := range selectors {
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("the %s selects %s=%s, the pod has %q", what, k, v, labels[k])
			}
		}
	}
	if s.Spec.ServiceName != service.Name || len(s.Name) > 52 {
		t.Errorf("StatefulSet %s, its service %s, the Service %s", s.Name, s.Spec.ServiceName, service.Name)
	}
	for _, a := range r.accounts {
		if s.Spec.Template.Spec.ServiceAccountName != a.Name {
			t.Errorf("runs as %s, not %s", s.Spec.Template.Spec.ServiceAccountName, a.Name)
		}
	}
	var token bool
	for _, v := range s.Spec.Template.Spec.Volumes {
		if v.Name != "secret" {
			continue
		}
		entry := map[string]string{} // by the name of its file
		for _, i := range v.Secret.Items {
			entry[i.Path] = i.Key
		}
		_, token = entry["http-token"]
		for _, made := range r.secrets {
			for _, i := range v.Secret.Items {
				if made.Name != v.Secret.SecretName || made.StringData[i.Key] == "" {
					t.Errorf("the secret has no %s", i.Key)
				}
			}
		}
		for _, m := range r.monitors {
			for k, want := range m.Spec.Selector.MatchLabels {
				if service.Labels[k] != want {
					t.Errorf("the ServiceMonitor selects %s=%s", k, want)
				}
			}
			a := m.Spec.Endpoints[0].Authorization
			if (a != nil) != token || token && (a.Credentials.Name != v.Secret.SecretName || a.Credentials.Key != entry["http-token"]) {
				t.Errorf("the ServiceMonitor's token %+v", a)
			}
		}
	}
}

// The two numbers that a file of values must not bend.
func TestChartValues(t *testing.T) {
	r := rendered(t, chart+"/ci/everything-values.yaml")
	env := map[string]string{}
	for _, e := range r.sets[0].Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	for name, want := range map[string]string{
		"ROOMWATCH_SDKAPPID": "1400000000", "ROOMWATCH_STREAM_MAX_BYTES": "10000000000", "ROOMWATCH_REQUESTS_PER_SECOND": "4.5",
		"ROOMWATCH_HTTP_ADDR": "0.0.0.0:9090", "NATS_CREDS": "/etc/roomwatch-nats/user.creds", "NATS_USER": "roomwatch",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	var ports []string
	for _, e := range r.policies[0].Spec.Egress {
		for _, p := range e.Ports {
			ports = append(ports, p.Port.String())
		}
	}
	if got := strings.Join(ports, " "); got != "53 53 5353 5353 443 4333 4222 3128 4318" {
		t.Errorf("lets out to ports %s", got)
	}
	// The alerts are the ones that promtool has tested.
	text, err := os.ReadFile("../prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(text, &want); err != nil {
		t.Fatal(err)
	}
	a, errA := yaml.Marshal(want)
	b, errB := yaml.Marshal(r.rules[0].Spec)
	if errA != nil || errB != nil || len(want.Groups) == 0 || !bytes.Equal(a, b) {
		t.Errorf("the rules are not those of alerts.yml:\n%s", b)
	}
}

// Two pods keep apart, start beside each other, and are not both taken away at once; one
// needs none of that.
func TestChartStandby(t *testing.T) {
	r := rendered(t, chart+"/ci/standby-values.yaml")
	set := r.sets[0].Spec
	if *set.Replicas != 2 || set.PodManagementPolicy != apps.ParallelPodManagement {
		t.Errorf("%d replicas, %s", *set.Replicas, set.PodManagementPolicy)
	}
	if len(r.budgets) != 1 || r.budgets[0].Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("budgets %+v", r.budgets)
	}
	pod := set.Template.Spec
	if len(pod.TopologySpreadConstraints) != 1 {
		t.Errorf("spread %+v", pod.TopologySpreadConstraints)
	}
	apart := pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm
	for k, v := range apart.LabelSelector.MatchLabels {
		if set.Template.Labels[k] != v {
			t.Errorf("they keep away from %s=%s", k, v)
		}
	}
	one := rendered(t, chart+"/ci/least-values.yaml")
	// Two demand the lease, in its usual length, so that they end where NATS does not allow it; one does not.
	usual := variableDefault(t, "roomwatch", "ROOMWATCH_LEASE")
	asked := rendered(t, chart+"/ci/standby-values.yaml", "env.ROOMWATCH_LEASE=30s")
	for _, c := range []struct {
		of   release
		want []string
	}{{r, []string{usual}}, {asked, []string{"30s"}}, {one, nil}} {
		var got []string
		for _, e := range c.of.sets[0].Spec.Template.Spec.Containers[0].Env {
			if e.Name == "ROOMWATCH_LEASE" {
				got = append(got, e.Value)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("ROOMWATCH_LEASE is %q, want %q", got, c.want)
		}
	}
	if *one.sets[0].Spec.Replicas != 1 || len(one.budgets) != 0 || one.sets[0].Spec.Template.Spec.Affinity != nil {
		t.Errorf("one alone has %d replicas, budgets %+v", *one.sets[0].Spec.Replicas, one.budgets)
	}
}

// A claim that exists is used, and no other made; a class of - is none; other
// namespaces may ask for metrics where Prometheus is to do so.
func TestChartVolumes(t *testing.T) {
	r := rendered(t, chart+"/ci/claim-values.yaml")
	pod := r.sets[0].Spec
	claimed := slices.ContainsFunc(pod.Template.Spec.Volumes, func(v core.Volume) bool {
		return v.Name == "data" && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "roomwatch-data"
	})
	if !claimed || len(pod.VolumeClaimTemplates) != 0 {
		t.Errorf("the claim is not used, %d others are made", len(pod.VolumeClaimTemplates))
	}
	if from := r.policies[0].Spec.Ingress[0].From[0]; from.NamespaceSelector == nil || len(from.NamespaceSelector.MatchLabels) != 0 {
		t.Errorf("lets in from %+v", from)
	}
	var ports []string
	for _, e := range r.policies[0].Spec.Egress[1:] {
		ports = append(ports, e.Ports[0].Port.String())
	}
	if !slices.Equal(ports, []string{"80", "80", "443"}) {
		t.Errorf("lets out to %q, want the ports of http://, ws:// and wss://", ports)
	}
	r = rendered(t, chart+"/ci/noclass-values.yaml")
	if c := r.sets[0].Spec.VolumeClaimTemplates[0].Spec.StorageClassName; c == nil || *c != "" {
		t.Errorf("the class is %v, want the empty one", c)
	}
	if port := r.policies[0].Spec.Egress[2].Ports[0].Port.String(); port != "4222" {
		t.Errorf("lets out to NATS on %s", port)
	}
}

// All pods are as careful as the values say: merged with what they are by default, and
// without what is null.
func TestChartSecurity(t *testing.T) {
	careful := `{"pod":{"runAsUser":65532,"runAsGroup":65532,"runAsNonRoot":true,"fsGroup":65532,"fsGroupChangePolicy":"OnRootMismatch","seccompProfile":{"type":"RuntimeDefault"}},` +
		`"container":{"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}`
	openshift := `{"pod":{"runAsNonRoot":true,"supplementalGroups":[1000660000],"fsGroupChangePolicy":"OnRootMismatch","seccompProfile":{"type":"RuntimeDefault"}},` +
		`"container":{"capabilities":{"add":["NET_BIND_SERVICE"],"drop":["ALL"]},"seLinuxOptions":{"level":"s0:c26,c5"},"runAsUser":1000660000,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}`
	for values, want := range map[string]string{"programs": careful, "openshift": openshift} {
		r := rendered(t, chart+"/ci/"+values+"-values.yaml")
		for name, pod := range map[string]core.PodSpec{
			"roomwatch": r.sets[0].Spec.Template.Spec, "roomnotify": r.parts["roomnotify"].deployments[0].Spec.Template.Spec,
			"roomaudit": r.parts["roomaudit"].sets[0].Spec.Template.Spec, "the test": r.tests[0].Spec,
		} {
			got := asJSON(t, struct {
				Pod       *core.PodSecurityContext `json:"pod"`
				Container *core.SecurityContext    `json:"container"`
			}{pod.SecurityContext, pod.Containers[0].SecurityContext})
			if got != want || len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
				t.Errorf("%s of %s is\n%s, want\n%s", name, values, got, want)
			}
		}
	}
}

// What the chart refuses, and that it says why. No secret is in what it says.
func TestChartRefuses(t *testing.T) {
	good := []string{"image.repository=r", "sdkAppID=1400000000", "secret.existingSecret=x"}
	tests := []struct {
		name string
		set  []string
		want string
	}{
		{"two pods and the embedded server", append(good, "replicas=2"), "replicas is 2 and nats.url is empty"},
		{"two pods and one volume", append(good, "replicas=2", "nats.url=nats://n", "persistence.existingClaim=c"), "replicas is 2 and persistence.existingClaim is one volume"},
		{"two pods without the lease", append(good, "replicas=2", "nats.url=nats://n", "env.ROOMWATCH_LEASE=0s"), "replicas is 2 and ROOMWATCH_LEASE is 0"},
		{"two pods that do not ask for the lease", append(good, "replicas=2", "nats.url=nats://n", "env.ROOMWATCH_LEASE="), "env.ROOMWATCH_LEASE is empty"},
		{"three pods", append(good, "replicas=3", "nats.url=nats://n"), "replicas"},
		{"nothing set", nil, "sdkAppID"},
		{"no image", []string{"sdkAppID=1400000000", "secret.existingSecret=x"}, "image.repository"},
		{"no key", []string{"sdkAppID=1"}, "secret.existingSecret"},
		{"no token", []string{"sdkAppID=1", "secret.secretKey=k"}, "secret.httpToken"},
		{"application", append(good, "sdkAppID=abc"), "sdkAppID"},
		{"region", append(good, "endpoint=mars"), "endpoint"},
		{"replicas", append(good, "replicaCount=2"), "replicaCount"},
		{"volume for many", append(good, "persistence.accessModes={ReadWriteMany}"), "accessModes"},
		{"entries of no secret", append(good, "nats.credsName=x"), "nats.existingSecret"},
		{"secret in the open", append(good, "env.NATS_PASSWORD=x"), "env.NATS_PASSWORD"},
		{"endpoint twice", append(good, "env.ROOMWATCH_ENDPOINT=seoul"), "use endpoint"},
		{"NATS twice", append(good, "extraEnv[0].name=NATS_URL"), "use nats.url"},
		{"variable twice", append(good, "env.ROOMWATCH_STREAM=A", "extraEnv[0].name=ROOMWATCH_STREAM"), "ROOMWATCH_STREAM is set twice"},
		{"credentials in the URL", append(good, "nats.url=nats://user:hunter2@nats:4222"), "nats.url has credentials"},
		{"claim of no volume", append(good, "persistence.enabled=false", "persistence.existingClaim=c"), "persistence.existingClaim"},
		{"a part and the embedded server", append(good, "roomaudit.enabled=true"), "roomaudit.enabled is true and nats.url is empty"},
		{"no rules", append(good, "nats.url=nats://n", "roomnotify.enabled=true"), "roomnotify.enabled is true and there are no rules"},
		{"a part's entries of no secret", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.nats.passwordName=p"), "roomaudit.nats.existingSecret"},
		{"a part's secret in the open", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.env.NATS_PASSWORD=hunter2"), "roomaudit.env.NATS_PASSWORD"},
		{"a part's variable twice", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.env.ROOMAUDIT_KEEP=48h", "roomaudit.extraEnv[0].name=ROOMAUDIT_KEEP"), "ROOMAUDIT_KEEP is set twice"},
		{"a trail's claim of no volume", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.persistence.enabled=false", "roomaudit.persistence.existingClaim=c"), "roomaudit.persistence.existingClaim"},
		{"callbacks without a token", []string{"image.repository=r", "sdkAppID=1", "secret.secretKey=k", "secret.httpToken=t", "webhook.enabled=true"}, "secret.webhookToken"},
		{"callbacks at the page's port", append(good, "webhook.enabled=true", "webhook.port=8080"), "webhook.port and http.port are both 8080"},
		{"an open page for who calls back", append(good, "webhook.enabled=true", "ingress.enabled=true", "ingress.host=h", "http.open=true"), "http.open are true"},
		{"callbacks that are not read", append(good, "webhook.enabled=true", "env.ROOMWATCH_POINT_READS_PER_SECOND=0"), "ROOMWATCH_POINT_READS_PER_SECOND is 0"},
		{"callbacks that are not read, once more", append(good, "webhook.enabled=true", "extraEnv[0].name=ROOMWATCH_POINT_READS_PER_SECOND", "extraEnv[0].value=0.0"), "ROOMWATCH_POINT_READS_PER_SECOND is 0"},
		{"a password without a scheme", append(good, "nats.url=roomwatch:hunter2@nats:4222"), "nats.url has credentials"},
		{"a password of the second server", append(good, "nats.url=nats://a\\,roomwatch:hunter2@b"), "nats.url has credentials"},
		{"two without the lease, by another name of nothing", append(good, "replicas=2", "nats.url=nats://n", "env.ROOMWATCH_LEASE=0m0s"), "ROOMWATCH_LEASE is 0"},
		{"two without the lease, besides", append(good, "replicas=2", "nats.url=nats://n", "extraEnv[0].name=ROOMWATCH_LEASE", "extraEnv[0].value=0s"), "ROOMWATCH_LEASE is 0"},
		{"a lease of the embedded server", append(good, "env.ROOMWATCH_LEASE=15s"), "ROOMWATCH_LEASE is set and nats.url is empty"},
		{"copies of the embedded server", append(good, "env.ROOMWATCH_STREAM_REPLICAS=3"), "ROOMWATCH_STREAM_REPLICAS is set and nats.url is empty"},
		{"callbacks by hand", append(good, "env.ROOMWATCH_WEBHOOK_ADDR=0.0.0.0:8090"), "use webhook.enabled"},
		{"their token in the open", append(good, "webhook.enabled=true", "env.ROOMWATCH_WEBHOOK_TOKEN=hunter2"), "use secret.webhookTokenName"},
		{"a privileged port", append(good, "webhook.enabled=true", "webhook.port=80"), "webhook/port"},
		{"a token and a user", append(good, "nats.url=nats://n", "nats.existingSecret=s", "nats.tokenName=t", "nats.user=u"), "nats.tokenName and nats.user are both set"},
		{"a password of nobody", append(good, "nats.url=nats://n", "nats.existingSecret=s", "nats.passwordName=p"), "nats.user is empty"},
		{"a certificate without its key", append(good, "nats.url=nats://n", "nats.existingSecret=s", "nats.certName=c"), "nats.keyName"},
		{"a part's token and user", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.nats.existingSecret=s", "roomaudit.nats.tokenName=t"), "roomaudit.nats.tokenName and roomaudit.nats.user"},
		{"a domain of the embedded server", append(good, "nats.domain=hub"), "nats.domain is set and nats.url is empty"},
		{"two ways to NATS", append(good, "nats.url=ws://a\\,nats://b"), "over WebSocket"},
		{"a page of no name", append(good, "ingress.enabled=true"), "ingress.host"},
		{"typing mistake of a part", append(good, "roomnotify.rulez.x=1"), "rulez"},
		{"typing mistake", append(good, "nats.ulr=x"), "ulr"},
		{"a volume of the chart", append(good, "extraVolumes[0].name=secret"), "extraVolumes: secret is a volume of the chart"},
		{"a part's volume of the chart", append(good, "nats.url=nats://n", "roomaudit.enabled=true", "roomaudit.extraVolumes[0].name=data"), "roomaudit.extraVolumes: data is a volume of the chart"},
		{"a volume twice", append(good, "extraVolumes[0].name=a", "extraVolumes[1].name=a"), "extraVolumes: a is there twice"},
		{"a path of the chart", append(good, "extraVolumes[0].name=a", "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=/data/"), "extraVolumeMounts: something is mounted at /data already"},
		{"a path twice", append(good, "extraVolumes[0].name=a", "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=/x", "extraVolumeMounts[1].name=a", "extraVolumeMounts[1].mountPath=/x"), "something is mounted at /x already"},
		{"a path below a secret", append(good, "extraVolumes[0].name=a", "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=/etc/roomwatch/tls"), "/etc/roomwatch/tls is below /etc/roomwatch, which is read-only"},
		{"a path below the rules", append(good, "nats.url=nats://n", "roomnotify.enabled=true", "roomnotify.rules.a=b", "roomnotify.extraVolumes[0].name=a", "roomnotify.extraVolumeMounts[0].name=a", "roomnotify.extraVolumeMounts[0].mountPath=/etc/roomnotify/x"), "roomnotify.extraVolumeMounts: /etc/roomnotify/x is below"},
		{"a path over the programs", append(good, "extraVolumes[0].name=a", "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=/"), "extraVolumeMounts: /: the path"},
		{"a relative path", append(good, "extraVolumes[0].name=a", "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=x"), "extraVolumeMounts: x: the path has to be absolute"},
		{"a mount of nothing", append(good, "extraVolumeMounts[0].name=a", "extraVolumeMounts[0].mountPath=/x"), "extraVolumeMounts: there is no volume a"},
		{"a label of the selector", append(good, `podLabels.app\.kubernetes\.io/name=x`), "podLabels: the chart sets app.kubernetes.io/name"},
		{"a part's label of the selector", append(good, "nats.url=nats://n", "roomaudit.enabled=true", `roomaudit.podLabels.app\.kubernetes\.io/instance=x`), "roomaudit.podLabels: the chart sets app.kubernetes.io/instance"},
		{"a label of its own kind", append(good, `serviceMonitor.labels.helm\.sh/chart=x`), "serviceMonitor.labels: the chart sets helm.sh/chart"},
		{"an annotation of the chart", []string{"image.repository=r", "sdkAppID=1", "secret.secretKey=k", "secret.httpToken=t", "podAnnotations.checksum/secret=x"}, "podAnnotations: the chart sets checksum/secret"},
		{"the name of a part", append(good, "nameOverride=roomnotify"), "nameOverride is roomnotify, as a part of the chart is called"},
		{"the name of a part, cut", append(good, "fullnameOverride=rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr-roomnotify"), "fullnameOverride: roomwatch and roomnotify would both be called"},
		{"a name that Kubernetes refuses", append(good, "fullnameOverride=Rooms_1"), "fullnameOverride"},
		{"two values of one entry", append(good, "secret.secretKeyName=a", "secret.httpTokenName=a"), "secret.secretKeyName and secret.httpTokenName are both a"},
		{"two tokens of one entry", append(good, "secret.webhookTokenName=http-token"), "secret.httpTokenName and secret.webhookTokenName are both http-token"},
		{"the page at the embedded server's port", append(good, "http.port=4222"), "http.port is 4222, where the embedded server"},
		{"callbacks at the embedded server's port", append(good, "webhook.enabled=true", "env.ROOMWATCH_NATS_PORT=8090"), "webhook.port is 8090, where the embedded server"},
		{"typing mistake of a context", append(good, "podSecurityContext.runAsUsr=1"), "runAsUsr"},
		{"typing mistake of a container's context", append(good, "securityContext.fsGroup=1"), "fsGroup"},
		{"too hasty", append(good, "terminationGracePeriodSeconds=1"), "terminationGracePeriodSeconds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"template", "rw", chart, "--kube-version", "1.33.0"}
			for _, s := range tt.set {
				args = append(args, "--set", s)
			}
			if out, err := helm(t, args...); err == nil || !strings.Contains(out, tt.want) || strings.Contains(out, "hunter2") {
				t.Errorf("%v, want %q in:\n%s", err, tt.want, out)
			}
		})
	}
}

// variableDefault is what a program does without a variable, as its help has it.
func variableDefault(t *testing.T, program, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` +\S+ +(\S+) `).FindStringSubmatch(variableHelp(t, program))
	if m == nil {
		t.Fatalf("the help of %s has no default of %s", program, name)
	}
	return m[1]
}

var variable = regexp.MustCompile(`(?m)^(ROOM[A-Z]+_[A-Z_]+|NATS_[A-Z_]+) `)

// variableNames are those that a program reads.
func variableNames(t *testing.T, name string) map[string]bool {
	t.Helper()
	names := map[string]bool{strings.ToUpper(name) + "_ENV_FILE": true}
	for _, m := range variable.FindAllStringSubmatch(variableHelp(t, name), -1) {
		names[m[1]] = true
	}
	return names
}

func variableHelp(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, name), "help", "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
