package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"gopkg.in/yaml.v3"
)

// composed loads compose.yaml as docker compose does, in a directory where the
// files of secrets are there or not.
func composed(t *testing.T, secrets map[string]string, profiles string) (*types.Project, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("..")); err != nil {
		t.Fatal(err)
	}
	for name, content := range secrets {
		if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "secrets", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const variables = "ROOMWATCH_SDKAPPID=1400000000\nROOMWATCH_ENDPOINT=http://simulator:9000\n"
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(variables), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, cli.WithProfiles(strings.Fields(profiles)), cli.WithWorkingDirectory(dir), cli.WithEnvFiles(), cli.WithDotEnv)
	if err != nil {
		t.Fatal(err)
	}
	return opts.LoadProject(t.Context())
}

var secretFiles = map[string]string{
	"secret_key": "k", "http_token": "t", "roomwatch.env": "NATS_PASSWORD=p\n", "roomnotify.env": "NATS_PASSWORD=r\nHOOK_SECRET=h\n", "roomaudit.env": "NATS_PASSWORD=s\n", "nats.env": "ROOMWATCH_NATS_PASSWORD=p\nSUBSCRIBER_NATS_PASSWORD=q\nROOMNOTIFY_NATS_PASSWORD=r\nROOMAUDIT_NATS_PASSWORD=s\n",
}

// Each profile is whole: what it mounts exists, what it names is there.
func TestCompose(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, name := range programs {
		known[name] = variableNames(t, name)
	}
	known["roomnotify"]["HOOK_SECRET"] = true // its rules name it
	for profile, want := range map[string]string{
		"demo":              "alertmanager demo grafana prometheus-demo receiver roomaudit-demo roomnotify-demo",
		"live":              "alertmanager grafana nats prometheus roomwatch",
		"live notify audit": "alertmanager grafana nats prometheus roomaudit roomnotify roomwatch",
	} {
		t.Run(profile, func(t *testing.T) {
			secrets := secretFiles
			if profile == "demo" {
				secrets = nil // no set-up
			}
			p, err := composed(t, secrets, profile)
			if err != nil {
				t.Fatal(err)
			}
			names := p.ServiceNames()
			slices.Sort(names)
			if got := strings.Join(names, " "); got != want {
				t.Errorf("runs %s, want %s", got, want)
			}
			for name, s := range p.Services {
				checkService(t, p, name, &s, known)
			}
			checkScrape(t, p)
		})
	}
	if _, err := composed(t, nil, "live"); err == nil || !strings.Contains(err.Error(), "nats.env") {
		t.Errorf("without the passwords of NATS: %v", err)
	}
}

func checkService(t *testing.T, p *types.Project, name string, s *types.ServiceConfig, known map[string]map[string]bool) {
	t.Helper()
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is open to the world", name, port.Published)
		}
	}
	if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.SecurityOpt) != 1 {
		t.Errorf("%s: cap_drop %q, security_opt %q", name, s.CapDrop, s.SecurityOpt)
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
				t.Errorf("%s: mounts %s, read-only %t: %v", name, v.Source, v.ReadOnly, err)
			}
		} else if _, ok := p.Volumes[v.Source]; !ok {
			t.Errorf("%s: no volume %s", name, v.Source)
		}
	}
	for _, secret := range s.Secrets {
		if _, err := os.Stat(p.Secrets[secret.Source].File); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for variable, value := range s.Environment {
		if s.Image != "roomwatch" {
			continue
		}
		if !known[s.Command[0]][variable] {
			t.Errorf("%s: %s knows no variable %s", name, s.Command[0], variable)
		}
		if file, ok := strings.CutPrefix(*value, "/run/secrets/"); ok && !slices.ContainsFunc(s.Secrets, func(c types.ServiceSecretConfig) bool { return c.Source == file }) {
			t.Errorf("%s: %s is %s, which is not mounted", name, variable, *value)
		}
	}
	if s.Image == "roomwatch" && !s.ReadOnly {
		t.Errorf("%s: its root file system can be written", name)
	}
	if checked := s.HealthCheck == nil || !s.HealthCheck.Disable; s.Image == "roomwatch" && checked != (s.Command[0] == "roomwatch") {
		t.Errorf("%s runs %s, and the image's check, which asks roomwatch: %t", name, s.Command[0], checked)
	}
	if s.Build != nil {
		if _, err := os.Stat(filepath.Join("..", filepath.Base(s.Build.Dockerfile))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if name == "nats" {
		checkPasswords(t, s)
	}
}

// The server's configuration asks the environment for passwords; it has them.
func checkPasswords(t *testing.T, s *types.ServiceConfig) {
	t.Helper()
	text, err := os.ReadFile("../nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`password: \$(\w+)`).FindAllStringSubmatch(string(text), -1)
	if len(asked) < 3 {
		t.Errorf("nats.conf asks for %q", asked)
	}
	for _, m := range asked {
		if v := s.Environment[m[1]]; v == nil || *v == "" {
			t.Errorf("nats: no %s", m[1])
		}
	}
}

// runs returns the service that runs a program and answers under a host's name.
func runs(p *types.Project, name, host string) (types.ServiceConfig, bool) {
	for _, s := range p.Services {
		if s.Image == "roomwatch" && s.Command[0] == name && (s.Name == host || s.NetworkMode == "service:"+host) {
			return s, true
		}
	}
	return types.ServiceConfig{}, false
}

// checkScrape looks whether Prometheus and Grafana find what they look for by name.
func checkScrape(t *testing.T, p *types.Project) {
	t.Helper()
	var config struct {
		Alerting struct {
			Alertmanagers []struct {
				Static []struct{ Targets []string } `yaml:"static_configs"`
			}
		}
		ScrapeConfigs []struct {
			Job           string `yaml:"job_name"`
			Authorization struct {
				CredentialsFile string `yaml:"credentials_file"`
			}
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "../prometheus/prometheus.yml", yaml.Unmarshal, &config)
	found := 0
	for _, c := range config.ScrapeConfigs {
		host, name := c.DNS[0].Names[0], strings.TrimSuffix(c.Job, "-demo")
		s, ok := runs(p, name, host)
		if !ok {
			continue // of another profile
		}
		found++
		if port := strconv.Itoa(c.DNS[0].Port); !slices.Contains(imageOf(t, dockerfile).Env, strings.ToUpper(name)+"_HTTP_ADDR=0.0.0.0:"+port) {
			t.Errorf("Prometheus asks %s at %s, where it does not listen", s.Name, port)
		}
		_, guarded := s.Environment[strings.ToUpper(name)+"_HTTP_TOKEN_FILE"]
		if guarded != (c.Authorization.CredentialsFile != "") {
			t.Errorf("%s asks for a token: %t; Prometheus sends %q", s.Name, guarded, c.Authorization.CredentialsFile)
		}
	}
	want := 0
	for _, s := range p.Services {
		if s.Image == "roomwatch" {
			want++
		}
	}
	if found != want {
		t.Errorf("Prometheus finds %d of %d programs", found, want)
	}
	if to := config.Alerting.Alertmanagers[0].Static[0].Targets[0]; to != "alertmanager:9093" || p.Services["alertmanager"].Ports[0].Target != 9093 {
		t.Errorf("alerts go to %s", to)
	}
	var sources struct{ Datasources []struct{ URL string } }
	read(t, "../grafana/provisioning/datasources/prometheus.yml", yaml.Unmarshal, &sources)
	alias := false
	for _, s := range p.Services {
		if n := s.Networks["default"]; n != nil && slices.Contains(n.Aliases, "prometheus") {
			alias = sources.Datasources[0].URL == "http://prometheus:9090" && s.Ports[0].Target == 9090
		}
	}
	if !alias {
		t.Errorf("Grafana asks %s, which nobody is", sources.Datasources[0].URL)
	}
	var boards struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "../grafana/provisioning/dashboards/roomwatch.yml", yaml.Unmarshal, &boards)
	inside := func(v types.ServiceVolumeConfig) bool {
		return filepath.Dir(v.Target) == boards.Providers[0].Options.Path
	}
	if !slices.ContainsFunc(p.Services["grafana"].Volumes, inside) {
		t.Errorf("no dashboard is mounted in %s", boards.Providers[0].Options.Path)
	}
}
