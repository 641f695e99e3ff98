package poller

import (
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct {
		in, want string
		vendor   bool
	}{
		{"china", "https://console.tim.qq.com", true},
		{"singapore", "https://adminapisgp.im.qcloud.com", true},
		{"silicon-valley", "https://adminapiusa.im.qcloud.com", true},
		{"jakarta", "https://adminapiidn.im.qcloud.com", true},
		{"seoul", "https://adminapikr.im.qcloud.com", true},
		{"tokyo", "https://adminapijpn.im.qcloud.com", true},
		{"frankfurt", "https://adminapiger.im.qcloud.com", true},
		{"http://127.0.0.1:9000", "http://127.0.0.1:9000", false},
		{"http://127.0.0.1:9000/", "http://127.0.0.1:9000", false},
		{"https://[::1]:9000", "https://[::1]:9000", false},
		{"HTTP://proxy.example", "http://proxy.example", false},
		{"https://adminapiksa.my-imcloud.com", "https://adminapiksa.my-imcloud.com", true},
		{"https://Console.TIM.qq.com.:443", "https://Console.TIM.qq.com.:443", true},
		{"https://nottim.qq.com", "https://nottim.qq.com", false},
		{"https://tim.qq.com.example", "https://tim.qq.com.example", false},
	}
	for _, tt := range tests {
		e, err := ParseEndpoint(tt.in)
		if err != nil || e.String() != tt.want || e.Vendor() != tt.vendor {
			t.Errorf("ParseEndpoint(%q) = %q, vendor %v, %v; want %q, vendor %v", tt.in, e, e.Vendor(), err, tt.want, tt.vendor)
		}
	}
	if e := (Endpoint{}); e.String() != "https://console.tim.qq.com" || !e.Vendor() {
		t.Errorf("zero Endpoint = %q, vendor %v; want china", e, e.Vendor())
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `endpoint "": neither a region nor a URL; use china, singapore, silicon-valley, jakarta, seoul, tokyo, frankfurt, or a base URL such as http://127.0.0.1:9000`},
		{"China", `"China": neither a region`},
		{"127.0.0.1:9000", "neither a region"},
		{"ftp://h", "scheme is neither"},
		{"http://", "host is missing"},
		{"http://:80", "host is missing"},
		{"http://h:", "port is not"},
		{"http://h:0", "port is not"},
		{"http://h:65536", "port is not"},
		{"http://h:x", `"http://h:x": invalid port`},
		{"http://h/v4", "a path"},
		{"http://h#x", "parameters"},
		{"http://h?", "parameters"},
		{"http://me:hunter2@h", `"…@h": user and password`},
		{"http://me:hunter2@h:x", `"…@h:x": not a URL`},
		{"https://console.tim.qq.com/v4/live_engine_http_srv/get_room_list?usersig=hunter2", "a path"},
		{"https://console.tim.qq.com?usersig=hunter2", `"https://console.tim.qq.com…": parameters`},
		{"console.tim.qq.com?usersig=hunter2", "neither a region"},
	}
	for _, tt := range tests {
		_, err := ParseEndpoint(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseEndpoint(%q) = %v, want %q", tt.in, err, tt.want)
		}
	}
}
