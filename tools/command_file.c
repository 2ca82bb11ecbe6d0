/* Bootstrap keys and security files: clawchat keygen, open, load. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/commands.h"
#include "tools/event_json.h"
#include "tools/quantity.h"
#include "tools/safe_text.h"

int command_keygen(struct program *p)
{
	const char *path = p->options.arguments[0];
	struct clawchat_error error;
	if (clawchat_keygen(path, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	output_line(&p->output, "%s: a new bootstrap key; carry it to the other side on a safe way",
		    path);
	output_object(&p->output, json_pack("{s:o}", "key_file", output_text(path)));
	return 0;
}

static const char *status_word(enum clawchat_result result)
{
	switch (result) {
	case CLAWCHAT_OK: return "valid";
	case CLAWCHAT_EXPIRED: return "expired";
	default: return "not valid yet";
	}
}

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static void print_address(struct program *p, const char *address)
{
	if (*address != '\0')
		output_line(&p->output, "address       %s", address);
}

static void print_info(struct program *p, const char *path, const struct clawchat_file_info *info,
		       const char *status)
{
	char from[QUANTITY_SIZE], until[QUANTITY_SIZE], left[QUANTITY_SIZE];
	char name[CLAWCHAT_NAME_SIZE * 3];
	uint64_t now = now_s();
	output_line(&p->output, "file          %s", path);
	output_line(&p->output, "status        %s", status);
	safe_text_line(info->server_name, name, sizeof(name));
	output_line(&p->output, "relay         %s%s%s", name, *name != '\0' ? ", id " : "",
		    info->server_id);
	print_address(p, info->address);
	print_address(p, info->address6);
	output_line(&p->output, "valid         %s to %s%s%s%s",
		    quantity_moment(info->valid_from, from),
		    quantity_moment(info->valid_until, until), info->valid_until > now ? " (" : "",
		    info->valid_until > now ? quantity_span(info->valid_until - now, left) : "",
		    info->valid_until > now ? " left)" : "");
	if (info->next_rotation != 0)
		output_line(&p->output, "next port     %s",
			    quantity_moment(info->next_rotation, from));
	output_line(&p->output, "devices       %" PRIu32 " at most", info->max_devices);
	output_line(&p->output, "file id       %s", info->file_id);
	output_line(&p->output, "bootstrap key %s", info->bootstrap_key_id);
}

int command_open(struct program *p)
{
	const char *path = p->options.arguments[0];
	struct clawchat_bootstrap bootstrap;
	struct clawchat_file_info info;
	struct clawchat_error error;
	int code = program_secret(p, &bootstrap);
	if (code != 0)
		return code;
	enum clawchat_result result = clawchat_inspect(path, &bootstrap, &info, &error);
	program_forget_secret(p);
	if (result == CLAWCHAT_OK || result == CLAWCHAT_EXPIRED ||
	    result == CLAWCHAT_NOT_YET_VALID) {
		print_info(p, path, &info, status_word(result));
		output_object(&p->output, file_info_json(path, &info, status_word(result)));
	}
	return result == CLAWCHAT_OK ? 0 : program_error(p, &error);
}

int command_load(struct program *p)
{
	const char *path = p->options.arguments[0];
	struct clawchat_status status;
	char until[QUANTITY_SIZE];
	int code = program_open(p);
	if (code == 0)
		code = program_load(p, path);
	if (code != 0)
		return code;
	clawchat_get_status(p->client, &status);
	output_line(&p->output, "%s is loaded, valid until %s; this device is called %s", path,
		    quantity_moment(status.file_valid_until, until), clawchat_own_name(p->client));
	output_object(&p->output, status_json(&status));
	return 0;
}
