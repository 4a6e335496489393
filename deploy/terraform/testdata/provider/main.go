// Command terraform-provider-ibm is a stand-in for IBM's Terraform provider. It has the
// schemas of the resources that the module uses, written from the documentation of the
// provider (website/docs in IBM-Cloud/terraform-provider-ibm, as of November 2026). It
// calls nothing: terraform validate checks the module against the schemas, and terraform
// test mocks the resources.
package main

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/v2/plugin"
)

type fields = map[string]*schema.Schema

// required, optional and computed return a field that must be given, may be given, or is known after apply.
func required(t schema.ValueType) *schema.Schema { return &schema.Schema{Type: t, Required: true} }
func optional(t schema.ValueType) *schema.Schema { return &schema.Schema{Type: t, Optional: true} }
func computed(t schema.ValueType) *schema.Schema { return &schema.Schema{Type: t, Computed: true} }

// all returns several fields of one kind.
func all(kind func(schema.ValueType) *schema.Schema, t schema.ValueType, names ...string) fields {
	f := fields{}
	for _, name := range names {
		f[name] = kind(t)
	}
	return f
}

func list(s *schema.Schema) *schema.Schema {
	s.Elem = &schema.Schema{Type: schema.TypeString}
	return s
}

// block is a nested block.
func block(s *schema.Schema, parts ...fields) *schema.Schema {
	s.Elem = &schema.Resource{Schema: join(parts...)}
	return s
}

func join(parts ...fields) fields {
	f := fields{}
	for _, part := range parts {
		for name, s := range part {
			f[name] = s
		}
	}
	return f
}

// resource is one that nothing creates: terraform test mocks it.
func resource(parts ...fields) *schema.Resource {
	none := func(*schema.ResourceData, any) error { return nil }
	f := join(parts...)
	return &schema.Resource{Schema: f, Create: none, Read: none, Update: none, Delete: none}
}

const (
	text   = schema.TypeString
	number = schema.TypeInt
	yes    = schema.TypeBool
)

func provider() *schema.Provider {
	link := block(required(schema.TypeList), all(optional, text, "component_name", "component_type", "crn", "name", "namespace"))
	link.MinItems, link.MaxItems = 1, 1
	return &schema.Provider{
		Schema: all(optional, text, "ibmcloud_api_key", "region", "visibility"),
		DataSourcesMap: map[string]*schema.Resource{
			"ibm_code_engine_project": {
				Schema: join(all(required, text, "project_id"), all(computed, text, "account_id", "created_at", "crn", "href", "name", "region", "resource_group_id", "resource_type", "status")),
				Read:   func(*schema.ResourceData, any) error { return nil },
			},
		},
		ResourcesMap: map[string]*schema.Resource{
			"ibm_code_engine_config_map": resource(all(required, text, "project_id", "name"), fields{"data": list(optional(schema.TypeMap))},
				all(computed, text, "config_map_id", "created_at", "entity_tag", "href", "region", "resource_type", "etag")),
			"ibm_code_engine_function": resource(
				all(required, text, "code_reference", "name", "project_id", "runtime"),
				all(optional, text, "code_main", "code_secret", "managed_domain_mappings", "scale_cpu_limit", "scale_memory_limit"),
				all(optional, number, "scale_concurrency", "scale_down_delay", "scale_max_execution_time"),
				all(optional, yes, "code_binary", "run_compute_resource_token_enabled"),
				fields{"run_env_variables": block(optional(schema.TypeList), all(required, text, "type"), all(optional, text, "key", "name", "prefix", "reference", "value"))},
				all(computed, text, "created_at", "endpoint", "endpoint_internal", "entity_tag", "etag", "function_id", "href", "region", "resource_type", "status")),
			"ibm_iam_trusted_profile": resource(all(required, text, "name"), all(optional, text, "description"),
				all(computed, text, "account_id", "created_at", "crn", "entity_tag", "iam_id", "modified_at", "profile_id")),
			"ibm_iam_trusted_profile_link": resource(all(required, text, "cr_type", "profile_id"), all(optional, text, "name"), fields{"link": link},
				all(computed, text, "created_at", "entity_tag", "link_id", "modified_at")),
			"ibm_iam_trusted_profile_policy": resource(
				all(optional, text, "profile_id", "iam_id", "description", "pattern", "rule_operator", "transaction_id"), all(optional, yes, "account_management"),
				fields{
					"roles": list(required(schema.TypeList)),
					"resources": block(optional(schema.TypeList), all(optional, text, "service", "service_type", "resource_instance_id", "region", "resource_type", "resource", "resource_group_id"),
						fields{"attributes": list(optional(schema.TypeMap))}),
					"resource_attributes": block(optional(schema.TypeSet), all(required, text, "name", "value"), all(optional, text, "operator")),
					"resource_tags":       block(optional(schema.TypeSet), all(required, text, "name", "value"), all(optional, text, "operator")),
				},
				all(computed, text, "version")),
		},
	}
}

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: provider})
}
