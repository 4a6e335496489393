package format

import (
	"fmt"
	"strconv"
	"strings"
)

// IBMUser is the user name that IBM Cloud's services take with an API key as the
// password.
const IBMUser = "iamapikey"

// DockerConfig returns the template of a docker config with the key as the password for
// a registry.
func DockerConfig(server, username string) string {
	user := strconv.Quote(username)
	return fmt.Sprintf(`{"auths":{{"{"}}{{json %s}}:{"username":{{json %s}},"password":{{json .Value}},"auth":{{json (base64 (print %s ":" .Value))}}}}}`,
		strconv.Quote(server), user, user)
}

// Env returns the template of one line of an .env file.
func Env(name string) string { return name + "={{env .Value}}\n" }

// JSON is the template of a JSON document.
const JSON = `{"apikey":{{json .Value}},"id":{{json .ID}},"serviceID":{{json .ServiceID}},"created":{{json .Created}},"expires":{{json .Expires}}}`

// JAAS returns the template of a login for SASL PLAIN, as Kafka's clients take it.
func JAAS(username string) string {
	return fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required username={{jaas %s}} password={{jaas .Value}};", strconv.Quote(username))
}

// Properties returns the template of one line of a Java properties file.
func Properties(name string) string {
	return strings.ReplaceAll(propertiesText(name), "{{", `{{"{{"}}`) + "={{properties .Value}}\n"
}
