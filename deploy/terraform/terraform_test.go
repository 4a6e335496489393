// Package terraform_test tests the Terraform module and its manifest for IBM Cloud's
// catalog.
package terraform_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
)

func TestTheCatalogAsksForTheVariablesOfTheModule(t *testing.T) {
	text, err := os.ReadFile("variables.tf")
	if err != nil {
		t.Fatal(err)
	}
	need := map[string]bool{} // whether a variable has no default
	for _, v := range regexp.MustCompile(`(?ms)^variable "(\w+)" \{\n(.*?)^\}`).FindAllSubmatch(text, -1) {
		need[string(v[1])] = !regexp.MustCompile(`(?m)^  default `).Match(v[2])
	}
	manifest, err := os.ReadFile("../../ibm_catalog.json")
	if err != nil {
		t.Fatal(err)
	}
	var catalog struct {
		Products []struct {
			Flavors []struct {
				WorkingDirectory string `json:"working_directory"`
				Configuration    []struct {
					Key      string
					Required bool
				}
			}
		}
	}
	if err := json.Unmarshal(manifest, &catalog); err != nil {
		t.Fatal(err)
	}
	flavor := catalog.Products[0].Flavors[0]
	if flavor.WorkingDirectory != "deploy/terraform" {
		t.Errorf("the module is in %s", flavor.WorkingDirectory)
	}
	var asked []string
	for _, c := range flavor.Configuration {
		asked = append(asked, c.Key)
		required, known := need[c.Key]
		if c.Key == "ibmcloud_api_key" { // the provider's
			continue
		}
		if !known || required != c.Required {
			t.Errorf("%s: a variable of the module: %t; required there: %t, in the catalog: %t", c.Key, known, required, c.Required)
		}
	}
	for name := range need {
		if !slices.Contains(asked, name) {
			t.Errorf("the catalog does not ask for %s", name)
		}
	}
}
