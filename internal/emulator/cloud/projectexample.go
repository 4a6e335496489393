package cloud

// exampleBinding is the ID of the binding in the examples of IBM's SDK.
const exampleBinding = "a172ced-b5f21bc-71ba50c-1638604"

// addExample fills a project with the resources that the examples of IBM's Code
// Engine SDK expect to find: each list has an entry, and what an example gets
// before it creates it, or never creates, exists.
func (c *Cloud) addExample(p *project) {
	const image = "icr.io/codeengine/helloworld"
	c.putApp(p, "my-app-1", map[string]any{"image_reference": image})
	for name, format := range map[string]string{"my-service-access": "service_access", "my-tls-secret": "tls"} {
		c.putSecret(p, NewSecret{Name: name, Format: format, Data: map[string]string{}})
	}
	app := map[string]any{"name": "my-app-1", "resource_type": "app_v2"}
	build := map[string]any{
		"output_image": "private.de.icr.io/icr_namespace/image-name", "output_secret": "ce-auto-icr-private-eu-de",
		"source_url": "https://github.com/IBM/CodeEngine", "strategy_type": "dockerfile",
	}
	run := map[string]any{"build_name": "my-build"}
	for _, x := range []struct {
		kind Kind
		name string
		spec map[string]any
	}{
		{ConfigMaps, "my-config-map-1", map[string]any{"data": map[string]any{"key1": "value1"}}},
		{Jobs, "my-job-1", map[string]any{"image_reference": image}},
		{JobRuns, "my-job-run-1", map[string]any{"image_reference": image, "job_name": "my-job"}},
		{Builds, "my-build-1", build},
		{BuildRuns, "my-build-run", run},
		{Bindings, exampleBinding, map[string]any{"component": app, "prefix": "MY", "secret_name": "my-service-access-1"}},
		{DomainMappings, "shop.example.com", map[string]any{"component": app, "tls_secret": "my-tls-secret"}},
	} {
		c.putWorkload(p, x.kind, x.name, x.spec)
	}
}
