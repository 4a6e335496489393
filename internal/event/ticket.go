package event

// TicketExtension is the extension attribute with the reference of the ticket that
// asks, such as INC0012345.
const TicketExtension = "ticket"

// Ticket returns the reference of the ticket that an event names, or "".
func Ticket(e Event) string {
	ticket, _ := e.Extensions()[TicketExtension].(string)
	return ticket
}
