package emulator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// bound is one body of a create call. Its fields replace those of a valid one.
type bound struct {
	fields string
	want   int
}

func (w *world) bounds(t *testing.T, kind, base string, created int, tests map[string]bound) {
	t.Helper()
	i := 0
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		test := tests[name]
		i++
		t.Run(name, func(t *testing.T) {
			want := test.want
			if want == 200 {
				want = created
			}
			fields := test.fields
			if !strings.HasPrefix(fields, `"name":`) {
				fields = fmt.Sprintf(`"name":"x%d",`, i) + fields
			}
			path := "/v2/projects/" + w.teamA() + "/" + kind
			r, body := w.raw("POST", path+"?version=2025-07-10", "{"+base+strings.TrimSuffix(fields, ",")+"}", "Authorization", w.bearer())
			if r.StatusCode != want {
				t.Errorf("status %d, want %d: %v", r.StatusCode, want, body)
			}
			if made, _ := body["name"].(string); made != "" {
				w.raw("DELETE", path+"/"+made, "", "Authorization", w.bearer())
			}
		})
	}
}

// containerBounds hold for apps, jobs and job runs.
func containerBounds(more map[string]bound) map[string]bound {
	env := func(entry string) string { return `"run_env_variables":[` + entry + `]` }
	many := func(n int, entry string) string { return "[" + strings.Repeat(entry+",", n-1) + entry + "]" }
	out := map[string]bound{
		"nothing but an image":                     {``, 200},
		"an image with a tag and a digest":         {`"image_reference":"icr.io/ns/x:v1@sha256:` + strings.Repeat("a", 64) + `"`, 200},
		"an image that is no reference":            {`"image_reference":"Not An Image"`, 400},
		"an image of 257 characters":               {`"image_reference":"` + strings.Repeat("a", 257) + `"`, 400},
		"an image that is a number":                {`"image_reference":7`, 400},
		"an image secret that is no name":          {`"image_secret":"A_B"`, 400},
		"a known service account":                  {`"run_service_account":"writer"`, 200},
		"an unknown service account":               {`"run_service_account":"root"`, 400},
		"a user ID that is text":                   {`"run_as_user":"root"`, 400},
		"a user ID that is a fraction":             {`"run_as_user":1.5`, 400},
		"a token flag that is text":                {`"run_compute_resource_token_enabled":"yes"`, 400},
		"arguments that are one text":              {`"run_arguments":"a b"`, 400},
		"an argument that is a number":             {`"run_arguments":[1]`, 400},
		"100 arguments":                            {`"run_arguments":` + many(100, `"a"`), 200},
		"101 arguments":                            {`"run_arguments":` + many(101, `"a"`), 400},
		"101 commands":                             {`"run_commands":` + many(101, `"a"`), 400},
		"a literal":                                {env(`{"type":"literal","name":"A","value":"1"}`), 200},
		"a variable without a type is a literal":   {env(`{"name":"A","value":"1"}`), 200},
		"a literal without a name":                 {env(`{"type":"literal","value":"1"}`), 400},
		"a variable of an unknown type":            {env(`{"type":"vault","name":"A"}`), 400},
		"a variable that is text":                  {env(`"A=1"`), 400},
		"a variable's name with a blank":           {env(`{"type":"literal","name":"A B","value":"1"}`), 400},
		"a variable's name of 254 characters":      {env(`{"type":"literal","name":"` + strings.Repeat("A", 254) + `","value":"1"}`), 400},
		"a variable's value that is a number":      {env(`{"type":"literal","name":"A","value":1}`), 400},
		"a full reference":                         {env(`{"type":"secret_full_reference","reference":"s","prefix":"P_"}`), 200},
		"a full reference to nothing":              {env(`{"type":"secret_full_reference"}`), 400},
		"a reference that is no name":              {env(`{"type":"secret_full_reference","reference":"S_"}`), 400},
		"a prefix that begins with a digit":        {env(`{"type":"secret_full_reference","reference":"s","prefix":"1_"}`), 400},
		"a reference to a key":                     {env(`{"type":"secret_key_reference","name":"A","reference":"s","key":"k"}`), 200},
		"a reference to a key without the key":     {env(`{"type":"secret_key_reference","name":"A","reference":"s"}`), 400},
		"a config map's key without the key":       {env(`{"type":"config_map_key_reference","name":"A","reference":"s"}`), 400},
		"101 variables":                            {`"run_env_variables":` + many(101, `{"name":"A"}`), 400},
		"the SDK's example of a variable":          {env(`{"key":"MY_VARIABLE","name":"SOME","prefix":"PREFIX_","reference":"my-secret","type":"literal","value":"VALUE"}`), 200},
		"a mount":                                  {`"run_volume_mounts":[{"type":"secret","reference":"s","mount_path":"/etc/key","sub_path":"a"}]`, 200},
		"a mount of a data store":                  {`"run_volume_mounts":[{"type":"persistent_data_store","reference":"s","mount_path":"/d","read_only":false}]`, 200},
		"a mount of an unknown type":               {`"run_volume_mounts":[{"type":"disk","reference":"s","mount_path":"/etc/key"}]`, 400},
		"a mount without a path":                   {`"run_volume_mounts":[{"type":"secret","reference":"s"}]`, 400},
		"a mount at a relative path":               {`"run_volume_mounts":[{"type":"secret","reference":"s","mount_path":"etc"}]`, 400},
		"a mount of nothing":                       {`"run_volume_mounts":[{"type":"secret","mount_path":"/etc"}]`, 400},
		"0.125 CPU and 0.25 GB":                    {`"scale_cpu_limit":"0.125","scale_memory_limit":"0.25G"`, 200},
		"0.125 CPU and 250 MB":                     {`"scale_cpu_limit":"0.125","scale_memory_limit":"250M"`, 200},
		"125 thousandths of a CPU and 1 GB":        {`"scale_cpu_limit":"125m","scale_memory_limit":"1GB"`, 200},
		"12 CPU and 48 GB":                         {`"scale_cpu_limit":"12","scale_memory_limit":"48G"`, 200},
		"12 CPU and 12 GB":                         {`"scale_cpu_limit":"12","scale_memory_limit":"12G"`, 400},
		"1 CPU and 3 GB":                           {`"scale_cpu_limit":"1","scale_memory_limit":"3G"`, 400},
		"0.25 CPU with the default of 4 GB":        {`"scale_cpu_limit":"0.25"`, 400},
		"16 CPU":                                   {`"scale_cpu_limit":"16","scale_memory_limit":"32G"`, 400},
		"a CPU limit that is a number":             {`"scale_cpu_limit":1`, 400},
		"a memory limit that is no quantity":       {`"scale_memory_limit":"much"`, 400},
		"as much storage as memory":                {`"scale_ephemeral_storage_limit":"4G"`, 200},
		"more storage than memory":                 {`"scale_ephemeral_storage_limit":"5G"`, 400},
		"the default storage with less memory":     {`"scale_cpu_limit":"0.125","scale_memory_limit":"0.25G","scale_ephemeral_storage_limit":"400M"`, 200},
		"half a gigabyte of storage with a fourth": {`"scale_cpu_limit":"0.125","scale_memory_limit":"0.25G","scale_ephemeral_storage_limit":"500M"`, 400},
		"a field that is not known yet":            {`"future":{"a":1}`, 200},
	}
	maps.Copy(out, more)
	return out
}

// image is the image of a body that names none.
const image = `"image_reference":"icr.io/codeengine/helloworld",`

func TestAppBounds(t *testing.T) {
	w := newWorld(t)
	probe := func(fields string) string { return `"probe_liveness":{` + fields + `},"probe_readiness":{}` }
	w.bounds(t, "apps", image, 201, containerBounds(map[string]bound{
		"a name of 63 letters":                  {`"name":"` + strings.Repeat("a", 63) + `"`, 200},
		"a name of 64 letters":                  {`"name":"` + strings.Repeat("a", 64) + `"`, 400},
		"a name that begins with a digit":       {`"name":"1a"`, 400},
		"a name that ends with a hyphen":        {`"name":"a-"`, 400},
		"port 65535":                            {`"image_port":65535`, 200},
		"port 65536":                            {`"image_port":65536`, 400},
		"a negative port":                       {`"image_port":-1`, 400},
		"a port that is text":                   {`"image_port":"8080"`, 400},
		"a domain mapping that is private":      {`"managed_domain_mappings":"local_private"`, 200},
		"an unknown domain mapping":             {`"managed_domain_mappings":"public"`, 400},
		"a timeout of 600 seconds":              {`"scale_request_timeout":600`, 200},
		"a timeout of 601 seconds":              {`"scale_request_timeout":601`, 400},
		"no timeout":                            {`"scale_request_timeout":0`, 400},
		"1000 requests at a time":               {`"scale_concurrency":1000`, 200},
		"1001 requests at a time":               {`"scale_concurrency":1001`, 400},
		"a target of 1001":                      {`"scale_concurrency_target":1001`, 400},
		"a target of 0":                         {`"scale_concurrency_target":0`, 400},
		"a delay of an hour":                    {`"scale_down_delay":3600`, 200},
		"a delay of more than an hour":          {`"scale_down_delay":3601`, 400},
		"250 instances":                         {`"scale_min_instances":250,"scale_max_instances":250`, 200},
		"251 instances":                         {`"scale_max_instances":251`, 400},
		"more instances at least than at most":  {`"scale_min_instances":3,"scale_max_instances":2`, 400},
		"11 instances at least of the usual 10": {`"scale_min_instances":11`, 400},
		"no upper limit":                        {`"scale_min_instances":11,"scale_max_instances":0`, 200},
		"a probe":                               {probe(`"type":"http","path":"/ok","port":8080,"interval":60,"timeout":3600,"failure_threshold":10,"initial_delay":10`), 200},
		"the SDK's example of a probe":          {probe(`"failure_threshold":5,"initial_delay":5,"interval":5,"path":"testString","port":8080,"timeout":300,"type":"tcp"`), 200},
		"an http probe without a path":          {probe(`"type":"http"`), 400},
		"a probe of an unknown type":            {probe(`"type":"grpc"`), 400},
		"a probe every 61 seconds":              {probe(`"interval":61`), 400},
		"a probe that may fail 11 times":        {probe(`"failure_threshold":11`), 400},
		"a probe at port 65536":                 {probe(`"port":65536`), 400},
	}))
}

func TestJobBounds(t *testing.T) {
	w := newWorld(t)
	large := func(n int) string { return `"run_arguments":["` + strings.Repeat("x", n) + `"]` }
	both := containerBounds(map[string]bound{
		"a known mode":                        {`"run_mode":"task"`, 200},
		"an unknown mode":                     {`"run_mode":"cron"`, 400},
		"a daemon":                            {`"run_mode":"daemon"`, 200},
		"a daemon with a time limit":          {`"run_mode":"daemon","scale_max_execution_time":60`, 400},
		"a daemon with retries":               {`"run_mode":"daemon","scale_retry_limit":1`, 400},
		"a day":                               {`"scale_max_execution_time":86400`, 200},
		"more than a day":                     {`"scale_max_execution_time":86401`, 400},
		"no time":                             {`"scale_max_execution_time":0`, 400},
		"5 retries":                           {`"scale_retry_limit":5`, 200},
		"6 retries":                           {`"scale_retry_limit":6`, 400},
		"the SDK's example of indices":        {`"scale_array_spec":"1-5,7-8,10"`, 200},
		"indices with a blank":                {`"scale_array_spec":"1, 2"`, 400},
		"an index with a zero before it":      {`"scale_array_spec":"01"`, 400},
		"the largest index":                   {`"scale_array_spec":"9999999"`, 200},
		"an index of eight digits":            {`"scale_array_spec":"10000000"`, 400},
		"1000 indices":                        {`"scale_array_spec":"1-1000"`, 200},
		"1001 indices":                        {`"scale_array_spec":"1-900,1000-1100"`, 400},
		"the same indices twice":              {`"scale_array_spec":"1-900,1-1000"`, 200},
		"indices that are a number":           {`"scale_array_spec":1}`, 400},
		"a name that begins with a digit":     {`"name":"1a"`, 200},
		"a name that ends with a hyphen":      {`"name":"a-"`, 400},
		"a name with a capital":               {`"name":"Ab"`, 400},
		"9 KiB":                               {large(9 << 10), 200},
		"10 KiB of arguments and the rest":    {large(10 << 10), 400},
		"10 KiB in the values of a variable":  {`"run_env_variables":[{"name":"A","value":"` + strings.Repeat("x", 10<<10) + `"}]`, 400},
		"100 small variables are not too big": {`"run_env_variables":[` + strings.Repeat(`{"name":"A"},`, 99) + `{"name":"A"}]`, 200},
	})
	jobs, runs := maps.Clone(both), maps.Clone(both)
	jobs["a name of 63 letters"], jobs["a name of 64 letters"] = bound{`"name":"` + strings.Repeat("a", 63) + `"`, 200}, bound{`"name":"` + strings.Repeat("a", 64) + `"`, 400}
	runs["a name of 53 letters"], runs["a name of 54 letters"] = bound{`"name":"` + strings.Repeat("a", 53) + `"`, 200}, bound{`"name":"` + strings.Repeat("a", 54) + `"`, 400}
	w.bounds(t, "jobs", image, 201, jobs)
	w.bounds(t, "job_runs", image, 202, runs)
}

func TestRunsKeepTheImageOfTheirJob(t *testing.T) {
	w := newWorld(t)
	path := "/v2/projects/" + w.teamA()
	auth := []string{"Authorization", w.bearer()}
	for name, fields := range map[string]string{
		strings.Repeat("j", 63): ``,
		"server":                `,"run_mode":"daemon"`,
		"ship":                  `,"image_secret":"pull","run_service_account":"reader"`,
	} {
		if r, body := w.raw("POST", path+"/jobs", `{"name":"`+name+`","image_reference":"icr.io/ns/one"`+fields+`}`, auth...); r.StatusCode != 201 {
			t.Fatalf("job %s: %d %v", name, r.StatusCode, body)
		}
	}
	w.bounds(t, "job_runs", "", 202, map[string]bound{
		"a run without an image":             {`"name":"r1","job_name":"ship"`, 200},
		"a run with the job's image":         {`"name":"r1","job_name":"ship","image_reference":"icr.io/ns/one","image_secret":"pull","run_service_account":"reader"`, 200},
		"a run with another image":           {`"name":"r1","job_name":"ship","image_reference":"icr.io/ns/two"`, 400},
		"a run with another image secret":    {`"name":"r1","job_name":"ship","image_secret":"other"`, 400},
		"a run as another service account":   {`"name":"r1","job_name":"ship","run_service_account":"writer"`, 400},
		"a run of a daemon":                  {`"name":"r1","job_name":"server"`, 200},
		"a run of a daemon with a limit":     {`"name":"r1","job_name":"server","scale_retry_limit":1`, 400},
		"a daemon's run of a task":           {`"name":"r1","job_name":"ship","run_mode":"daemon"`, 200},
		"a run of no job":                    {`"name":"r1","job_name":"none"`, 404},
		"a name that is made for a long job": {`"name":"","job_name":"` + strings.Repeat("j", 63) + `"`, 200},
	})
	_, body := w.raw("GET", path+"/jobs/server", "", auth...)
	if body["scale_retry_limit"] != nil || body["scale_max_execution_time"] != nil {
		t.Errorf("a daemon has %v retries and %v seconds", body["scale_retry_limit"], body["scale_max_execution_time"])
	}
	patch := slices.Concat(auth, []string{"If-Match", "*", "Content-Type", "application/merge-patch+json"})
	if r, body := w.raw("PATCH", path+"/jobs/ship", `{"run_mode":"daemon"}`, patch...); r.StatusCode != 200 || body["scale_retry_limit"] != nil {
		t.Errorf("a task that becomes a daemon: %d %v", r.StatusCode, body)
	}
	if r, body := w.raw("PATCH", path+"/jobs/ship", `{"scale_retry_limit":2}`, patch...); r.StatusCode != 400 {
		t.Errorf("retries for a daemon: %d %v", r.StatusCode, body)
	}
}

func TestFunctionBounds(t *testing.T) {
	w := newWorld(t)
	const code = `"code_reference":"data:text/plain;base64,eA==",`
	inline := func(n int) string {
		const head = "data:text/plain;base64,"
		return `"code_reference":"` + head + strings.Repeat("A", n-len(head)) + `"`
	}
	w.bounds(t, "functions", code+`"runtime":"nodejs-22",`, 201, map[string]bound{
		"nothing else":                           {``, 200},
		"a name that begins with a digit":        {`"name":"1a"`, 400},
		"a name of 64 letters":                   {`"name":"` + strings.Repeat("a", 64) + `"`, 400},
		"a runtime with a minor version":         {`"runtime":"python-3.13"`, 200},
		"a runtime without a version":            {`"runtime":"nodejs"`, 400},
		"a code bundle":                          {`"code_reference":"icr.io/ns/bundle:1"`, 200},
		"code that is neither bundle nor inline": {`"code_reference":"function main() {}"`, 400},
		"inline code that is not in base64":      {`"code_reference":"data:text/plain,x"`, 400},
		"100 KB of inline code":                  {inline(100_000), 200},
		"more than 100 KB of inline code":        {inline(100_001), 400},
		"a main that begins with a digit":        {`"code_main":"1main"`, 400},
		"120 seconds":                            {`"scale_max_execution_time":120`, 200},
		"121 seconds":                            {`"scale_max_execution_time":121`, 400},
		"no time":                                {`"scale_max_execution_time":0`, 400},
		"100 requests at a time":                 {`"scale_concurrency":100`, 200},
		"101 requests at a time":                 {`"scale_concurrency":101`, 400},
		"a delay of 600 seconds":                 {`"scale_down_delay":600`, 200},
		"a delay of 601 seconds":                 {`"scale_down_delay":601`, 400},
		"0.25 CPU and 1 GB":                      {`"scale_cpu_limit":"0.25","scale_memory_limit":"1G"`, 200},
		"0.5 CPU and 2 GB":                       {`"scale_cpu_limit":"0.5","scale_memory_limit":"2G"`, 200},
		"0.5 CPU and 4 GB":                       {`"scale_cpu_limit":"0.5","scale_memory_limit":"4G"`, 400},
		"1 CPU and 1 GB":                         {`"scale_memory_limit":"1G"`, 400},
		"an unknown domain mapping":              {`"managed_domain_mappings":"public"`, 400},
		"a variable of an unknown type":          {`"run_env_variables":[{"type":"vault"}]`, 400},
		"variables that are no list":             {`"run_env_variables":{}`, 400},
	})
	w.raw("POST", "/emulator/settings", `{"switches":{"anyFunctionMemory":true}}`)
	w.bounds(t, "functions", code+`"runtime":"nodejs-22",`, 201, map[string]bound{"1 CPU and 1 GB with the switch": {`"scale_memory_limit":"1G"`, 200}})
}

func TestProjectBounds(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]int{
		"a-b._: 1": 202, "größer": 202, strings.Repeat("ü", 128): 202,
		"": 400, "a/b": 400, "a,b": 400, `a\"b`: 400, strings.Repeat("a", 129): 400,
	} {
		r, body := w.raw("POST", "/v2/projects", `{"name":"`+name+`","region":"jp-tok"}`, "Authorization", w.bearer())
		if r.StatusCode != want {
			t.Errorf("the name %q: status %d, want %d: %v", name, r.StatusCode, want, body)
		}
	}
	if r, _ := w.raw("POST", "/v2/projects", `{"name":"x","resource_group_id":"Default"}`, "Authorization", w.bearer()); r.StatusCode != 400 {
		t.Errorf("a resource group by name: status %d", r.StatusCode)
	}
}

func TestUpdatesHaveTheSameBounds(t *testing.T) {
	w := newWorld(t)
	path := "/v2/projects/" + w.teamA() + "/apps/web"
	for _, test := range []struct {
		body string
		want int
	}{
		{`{"scale_request_timeout":601}`, 400},
		{`{"scale_cpu_limit":"0.25"}`, 400}, // the memory stays at 4 GB
		{`{"image_reference":null}`, 400},
		{`{"scale_cpu_limit":"0.25","scale_memory_limit":"1G"}`, 200},
	} {
		r, answer := w.raw("PATCH", path, test.body, "Authorization", w.bearer(), "If-Match", "*", "Content-Type", "application/merge-patch+json")
		if r.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d: %v", test.body, r.StatusCode, test.want, answer)
		}
	}
	w.raw("POST", "/emulator/settings", `{"switches":{"invalidCodeEngineStatus":422}}`)
	r, _ := w.raw("PATCH", path, `{"image_port":-1}`, "Authorization", w.bearer(), "If-Match", "*", "Content-Type", "application/merge-patch+json")
	if r.StatusCode != 422 {
		t.Errorf("with the switch: status %d", r.StatusCode)
	}
}
