// Command terraform-provider-ibm is a stand-in for IBM's Terraform provider. It has the
// schemas of the resources that the module uses, written from the documentation of the
// provider (website/docs in IBM-Cloud/terraform-provider-ibm, as of November 2026), and
// from its sources where the documentation lacks a field: run_compute_resource_token_enabled
// of an app, and type, job_name and project_crn of a destination. It
// calls nothing: terraform validate checks the module against the schemas, and terraform
// test mocks the resources.
package main

import (
	"maps"

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

// What the documentation says of several resources of Code Engine.
var (
	variables = block(optional(schema.TypeList), all(required, text, "type"), all(optional, text, "key", "name", "prefix", "reference", "value"))
	mounts    = block(optional(schema.TypeList), all(required, text, "mount_path", "reference", "type"), all(optional, text, "sub_path"), all(optional, yes, "read_only"))
	container = join(all(required, text, "image_reference", "name", "project_id"), all(optional, text, "image_secret", "run_service_account"),
		all(optional, text, "scale_cpu_limit", "scale_ephemeral_storage_limit", "scale_memory_limit"), all(optional, number, "run_as_user"),
		all(optional, yes, "run_compute_resource_token_enabled"),
		fields{"run_arguments": list(optional(schema.TypeList)), "run_commands": list(optional(schema.TypeList)), "run_env_variables": variables, "run_volume_mounts": mounts},
		all(computed, text, "build", "build_run", "created_at", "entity_tag", "etag", "href", "region", "resource_type"))
)

// codeEngine has the resources of Code Engine.
func codeEngine() map[string]*schema.Resource {
	probe := func() *schema.Schema {
		return one(block(optional(schema.TypeList), all(optional, number, "failure_threshold", "initial_delay", "interval", "port", "timeout"), all(optional, text, "path"), all(required, text, "type")))
	}
	return map[string]*schema.Resource{
		"ibm_code_engine_config_map": resource(all(required, text, "project_id", "name"), fields{"data": list(optional(schema.TypeMap))},
			all(computed, text, "config_map_id", "created_at", "entity_tag", "href", "region", "resource_type", "etag")),
		"ibm_code_engine_function": resource(
			all(required, text, "code_reference", "name", "project_id", "runtime"),
			all(optional, text, "code_main", "code_secret", "managed_domain_mappings", "scale_cpu_limit", "scale_memory_limit"),
			all(optional, number, "scale_concurrency", "scale_down_delay", "scale_max_execution_time"),
			all(optional, yes, "code_binary", "run_compute_resource_token_enabled"),
			fields{"run_env_variables": variables},
			all(computed, text, "created_at", "endpoint", "endpoint_internal", "entity_tag", "etag", "function_id", "href", "region", "resource_type", "status")),
		"ibm_code_engine_app": resource(container, all(optional, text, "managed_domain_mappings"),
			all(optional, number, "image_port", "scale_concurrency", "scale_concurrency_target", "scale_down_delay", "scale_initial_instances", "scale_max_instances", "scale_min_instances", "scale_request_timeout"),
			fields{"probe_liveness": probe(), "probe_readiness": probe()}, all(computed, text, "app_id", "endpoint", "endpoint_internal", "status")),
		"ibm_code_engine_job": resource(container, all(optional, text, "run_mode", "scale_array_spec"),
			all(optional, number, "scale_max_execution_time", "scale_retry_limit"), all(computed, text, "job_id")),
	}
}

// identity has the resources of IAM.
func identity() map[string]*schema.Resource {
	attributes := func() *schema.Schema {
		return block(optional(schema.TypeSet), all(required, text, "name", "value"), all(optional, text, "operator"))
	}
	link := one(block(required(schema.TypeList), all(optional, text, "component_name", "component_type", "crn", "name", "namespace")))
	link.MinItems = 1
	return map[string]*schema.Resource{
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
				"resource_attributes": attributes(), "resource_tags": attributes(),
			},
			all(computed, text, "version")),
		"ibm_iam_authorization_policy": resource(fields{"roles": list(required(schema.TypeList)), "resource_attributes": attributes(), "subject_attributes": attributes()},
			all(optional, text, "description", "source_service_account", "source_service_name", "target_service_name", "source_resource_instance_id", "target_resource_instance_id",
				"source_resource_type", "target_resource_type", "source_resource_group_id", "target_resource_group_id", "transaction_id"),
			all(computed, text, "version")),
	}
}

// events has the resources of Event Notifications and Secrets Manager.
func events() map[string]*schema.Resource {
	rules := block(required(schema.TypeList), all(required, yes, "enabled"), all(required, text, "event_type_filter"), all(optional, text, "notification_filter"))
	params := one(block(required(schema.TypeList), all(required, text, "type"), all(optional, text, "job_name", "project_crn", "url", "verb"),
		fields{"custom_headers": list(optional(schema.TypeMap)), "sensitive_headers": list(optional(schema.TypeList))}))
	return map[string]*schema.Resource{
		"ibm_en_topic": resource(all(required, text, "instance_guid", "name"), all(optional, text, "description"),
			fields{"sources": block(optional(schema.TypeList), all(required, text, "id"), fields{"rules": rules})},
			all(computed, text, "topic_id", "updated_at"), all(computed, number, "source_count", "subscription_count")),
		"ibm_en_destination_ce": resource(all(required, text, "instance_guid", "name", "type"), all(optional, text, "description"), all(optional, yes, "collect_failed_events"),
			fields{"config": one(block(optional(schema.TypeList), fields{"params": params}))}, all(computed, text, "destination_id", "updated_at"), all(computed, number, "subscription_count")),
		"ibm_en_subscription_ce": resource(all(required, text, "instance_guid", "name", "destination_id", "topic_id"), all(optional, text, "description"),
			fields{"attributes": one(block(optional(schema.TypeList), all(optional, text, "template_id_notification")))}, all(computed, text, "subscription_id", "updated_at")),
		"ibm_sm_en_registration": resource(all(required, text, "instance_id", "event_notifications_instance_crn", "event_notifications_source_name"),
			all(optional, text, "region", "endpoint_type", "event_notifications_source_description")),
		"ibm_sm_custom_credentials_configuration": resource(all(required, text, "instance_id", "name", "task_timeout"), all(optional, text, "region", "endpoint_type", "api_key_ref"),
			fields{"code_engine": one(block(required(schema.TypeList), all(required, text, "project_id", "job_name", "region")))},
			all(computed, text, "code_engine_key_ref", "created_at", "created_by", "updated_at")),
	}
}

// one is a block that may be given once.
func one(s *schema.Schema) *schema.Schema {
	s.MaxItems = 1
	return s
}

func provider() *schema.Provider {
	p := &schema.Provider{
		Schema: all(optional, text, "ibmcloud_api_key", "region", "visibility"),
		DataSourcesMap: map[string]*schema.Resource{
			"ibm_code_engine_project": {
				Schema: join(all(required, text, "project_id"), all(computed, text, "account_id", "created_at", "crn", "href", "name", "region", "resource_group_id", "resource_type", "status")),
				Read:   func(*schema.ResourceData, any) error { return nil },
			},
			"ibm_en_sources": {
				Schema: join(all(required, text, "instance_guid"), all(optional, text, "search_key"), all(computed, number, "total_count"),
					fields{"sources": block(computed(schema.TypeList), all(computed, text, "id", "name", "description", "type", "updated_at"), all(computed, number, "topic_count"), all(computed, yes, "enabled", "store_notifications"))}),
				Read: func(*schema.ResourceData, any) error { return nil },
			},
		},
		ResourcesMap: map[string]*schema.Resource{},
	}
	for _, part := range []map[string]*schema.Resource{codeEngine(), identity(), events()} {
		maps.Copy(p.ResourcesMap, part)
	}
	return p
}

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: provider})
}
