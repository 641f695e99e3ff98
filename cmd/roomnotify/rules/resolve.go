package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// An inFile is a field of a target whose value stands in a file.
type inFile struct {
	field, path string
	set         func(*Target, string)
}

// resolve returns the target with its secrets in place of where they are.
func (w wireTarget) resolve(p *problems, from Source) Target {
	t := w.Target
	t.Kind = strings.ToLower(t.Kind)
	if t.Kind == "lark" {
		t.Kind = "feishu"
	}
	p.add(nameForm.MatchString(t.Name), t.at(), "target %q: %s", t.Name, nameHint)
	if !slices.Contains(Kinds(), t.Kind) {
		p.add(false, t.at("kind"), "target %s: kind is %q: choose from %s", t.Name, t.Kind, strings.Join(Kinds(), ", "))
		return t
	}
	r := resolver{p: p, from: from, t: &t}
	r.find("url", w.URL, w.URLFile, t.openURL(), func(t *Target, v string) { t.URL = v })
	r.find("secret", w.Secret, w.SecretFile, false, func(t *Target, v string) { t.Secret = v })
	r.find("token", w.Token, w.TokenFile, false, func(t *Target, v string) { t.Token = v })
	r.find("username", w.Username, "", true, func(t *Target, v string) { t.Username = v })
	r.find("password", w.Password, w.PasswordFile, false, func(t *Target, v string) { t.Password = v })
	r.find("proxy", w.Proxy, w.ProxyFile, !strings.Contains(w.Proxy, "@"), func(t *Target, v string) { t.Proxy = v })
	t.caFile = w.CAFile
	r.find("ca", "", w.CAFile, false, func(t *Target, v string) { t.CA = v })
	r.group("headers", w.Headers, w.HeadersFile, func(t *Target) *map[string]string { return &t.Headers })
	r.group("values", w.Values, w.ValuesFile, func(t *Target) *map[string]string { return &t.Values })
	if t.Kind == "telegram" && t.URL == "" {
		t.URL = "https://api.telegram.org"
	}
	if !r.failed {
		t.check(p)
	}
	return t
}

// A resolver finds the values of a target's fields.
type resolver struct {
	p      *problems
	from   Source
	t      *Target
	failed bool
}

var (
	reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	embedded  = regexp.MustCompile(`\$\{([^}]*)\}?`)
)

// bad notes a problem. No value is in it: it may be a secret in the wrong place.
func (r *resolver) bad(line int, format string, args ...any) {
	r.failed = true
	r.p.add(false, line, "target %s: %w", r.t.Name, fmt.Errorf(format, args...))
}

// find sets what a field says or refers to.
func (r *resolver) find(field, said, file string, literal bool, set func(*Target, string)) {
	line := r.t.at(field)
	if said == "" && file != "" {
		line = r.t.at(field + "_file")
	}
	if said != "" && file != "" {
		r.bad(line, "%s and %s_file are both there: write one of them", field, field)
		return
	}
	if file != "" {
		r.read(line, field+"_file", file, set)
		return
	}
	if said != "" && !literal && !reference.MatchString(said) {
		r.bad(line, "%s is a secret: write %s: ${NAME}, with the variable that holds it, or %s_file", field, field, field)
		return
	}
	m := reference.FindStringSubmatch(said)
	if m == nil {
		if said != "" {
			r.t.written = append(r.t.written, said)
		}
		set(r.t, said)
		return
	}
	if v, ok := r.variable(line, field, field+"_file", m[1]); ok {
		set(r.t, v)
	}
}

// read sets what a file holds.
func (r *resolver) read(line int, field, path string, set func(*Target, string)) {
	b, err := r.from.ReadFile(path)
	v := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		r.bad(line, "%s: %w: write the path of a file that roomnotify may read", field, err)
	case v == "":
		r.bad(line, "%s: %s is empty", field, path)
	default:
		r.t.files = append(r.t.files, inFile{field, path, set})
		set(r.t, v)
	}
}

// variable returns one of the environment.
func (r *resolver) variable(line int, field, instead, name string) (string, bool) {
	v, ok := r.from.Lookup(name)
	if v = strings.TrimSpace(v); !ok || v == "" {
		r.bad(line, "%s: the environment has no %s: set it, or write %s", field, name, instead)
		return "", false
	}
	return v, true
}

// group sets what the fields of a group say or refer to, also with a reference
// within a text: "Token ${NAME}".
func (r *resolver) group(group string, said, files map[string]string, of func(*Target) *map[string]string) {
	at := func(name string) func(*Target, string) {
		return func(t *Target, v string) {
			m := of(t)
			if *m = maps.Clone(*m); *m == nil {
				*m = map[string]string{}
			}
			(*m)[name] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		line := r.t.at(group+"_file", name)
		at(name)(r.t, "")
		if _, twice := said[name]; twice {
			r.bad(line, "%s and %s_file both have %s: write one of them", group, group, name)
			continue
		}
		r.read(line, group+"_file: "+name, files[name], at(name))
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		line, text, ok := r.t.at(group, name), said[name], true
		at(name)(r.t, "")
		value := embedded.ReplaceAllStringFunc(text, func(ref string) string {
			m := reference.FindStringSubmatch(ref)
			if m == nil {
				r.bad(line, "%s: %s: a reference is written as ${NAME}, with letters, digits and _", group, name)
				ok = false
				return ""
			}
			v, found := r.variable(line, group+": "+name, group+"_file", m[1])
			ok = ok && found
			return v
		})
		if !ok {
			continue
		}
		if value == text {
			if secretName.MatchString(name) {
				r.bad(line, "%s: %s is a secret: write ${NAME} for it, with the variable that holds it, or %s_file", group, name, group)
				continue
			}
			r.t.written = append(r.t.written, value)
		}
		at(name)(r.t, value)
	}
}
