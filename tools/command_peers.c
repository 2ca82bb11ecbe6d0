/* clawchat peers, clawchat status: who is here, and how the relay is reached. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/commands.h"
#include "tools/event_json.h"
#include "tools/quantity.h"
#include "tools/safe_text.h"
#include "tools/show.h"
#include "tools/table.h"
#include "tools/words.h"

enum {
	US_PER_MS = 1000,
	OFFSET_TOLD_MS = 2000, /* a clock that is wrong by less harms nobody */
};

static int open_and_connect(struct program *p)
{
	int code = program_open(p);
	return code != 0 ? code : program_connect(p);
}

/* Until the relay has said who is here. */
static int ask_peers(struct program *p)
{
	struct clawchat_event event;
	int code = 0;
	if (clawchat_ask_peers(p->client) != CLAWCHAT_OK)
		return output_error(&p->output, CLAWCHAT_FAILED, "peers: cannot be asked for now");
	client_loop_set_timeout(&p->loop, p->options.timeout_s);
	for (;;) {
		switch (program_wait(p, &event, &code)) {
		case PROGRAM_EVENT:
			if (event.type == CLAWCHAT_EVENT_PEERS)
				return 0;
			show_event(p, &event);
			break;
		case PROGRAM_TIMEOUT:
			return output_error(&p->output, CLAWCHAT_NO_ANSWER,
					    "peers: no answer from the relay within %u s",
					    p->options.timeout_s);
		case PROGRAM_END: return code;
		default: break;
		}
	}
}

static void print_peers(struct program *p)
{
	static const char *const titles[] = { "NAME", "HERE", "IDENTITY", "PATH", "ID" };
	struct table_printer *table =
		table_printer_create(titles, sizeof(titles) / sizeof(titles[0]));
	struct clawchat_contact contact;
	for (size_t i = 0; clawchat_contact_at(p->client, i, &contact); i++) {
		char name[CLAWCHAT_NAME_SIZE * 3], id[CLAWCHAT_PEER_ID_TEXT];
		clawchat_id_text(&contact.id, id);
		safe_text_line(contact.name, name, sizeof(name));
		const char *cells[] = { *name != '\0' ? name : "-",
					contact.is_present ? "yes" : "no", trust_word(&contact),
					path_word(contact.path), id };
		table_printer_row(table, cells);
	}
	table_printer_finish(table, "nobody is known, and nobody else is here");
}

static void print_peers_json(struct program *p)
{
	struct clawchat_contact contact;
	json_t *list = json_array();
	for (size_t i = 0; clawchat_contact_at(p->client, i, &contact); i++)
		json_array_append_new(list, contact_json(p->client, &contact));
	output_object(&p->output, json_pack("{s:o}", "peers", list));
}

int command_peers(struct program *p)
{
	int code = open_and_connect(p);
	if (code == 0)
		code = ask_peers(p);
	if (code != 0)
		return code;
	if (p->output.is_json)
		print_peers_json(p);
	else
		print_peers(p);
	return 0;
}

static void print_next(struct program *p, const char *title, uint64_t moment)
{
	char text[QUANTITY_SIZE], left[QUANTITY_SIZE];
	uint64_t now = (uint64_t)time(NULL);
	if (moment == 0)
		return;
	output_line(&p->output, "%s %s (in %s)", title, quantity_moment(moment, text),
		    quantity_span(moment > now ? moment - now : 0, left));
}

static void print_clock(struct program *p, int64_t offset_ms)
{
	if (llabs(offset_ms) < OFFSET_TOLD_MS)
		return;
	output_line(&p->output, "clock        %.1f s %s the relay's; set it right",
		    (double)llabs(offset_ms) / 1000, offset_ms > 0 ? "behind" : "ahead of");
}

void print_status(struct program *p)
{
	struct clawchat_status status;
	char name[CLAWCHAT_NAME_SIZE * 3];
	clawchat_get_status(p->client, &status);
	safe_text_line(status.server_name, name, sizeof(name));
	output_line(&p->output, "relay        %s%s%s", name, *name != '\0' ? " at " : "",
		    status.relay);
	output_line(&p->output, "state        %s", state_word(status.state));
	output_line(&p->output, "seen as      %s", status.observed);
	output_line(&p->output, "round trip   %.1f ms", (double)status.rtt_us / US_PER_MS);
	output_line(&p->output, "port         generation %" PRIu64, status.door);
	print_next(p, "next port   ", status.next_rotation);
	output_line(&p->output, "key epoch    %" PRIu32, status.epoch);
	if (status.is_enrolled)
		output_line(&p->output, "file         not needed: this device is enrolled");
	else
		print_next(p, "file until  ", status.file_valid_until);
	output_line(&p->output, "reconnects   %" PRIu32, status.reconnects);
	print_clock(p, status.clock_offset_ms);
}

int command_status(struct program *p)
{
	struct clawchat_status status;
	int code = open_and_connect(p);
	if (code != 0)
		return code;
	print_status(p);
	clawchat_get_status(p->client, &status);
	output_object(&p->output, status_json(&status));
	return 0;
}
