package vault

import "net/http"

// RouteOf returns the name of a request's route.
func RouteOf(r *http.Request) (name string, empty, ok bool) {
	const prefix = "/v1/"
	for _, known := range routes {
		if a := api(r.Method, r.URL.Path[len(prefix):]); len(a.Routes) > 0 && known.method == r.Method && matches(known.part, r.URL.Path[len(prefix):]) {
			return known.method + " " + known.part, a.Routes[0].Empty, true
		}
	}
	return "", false, false
}

// RouteNames returns the names of all routes.
func RouteNames() (names []string) {
	for _, r := range routes {
		names = append(names, r.method+" "+r.part)
	}
	return names
}
