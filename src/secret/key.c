/*
 * key.c: the keys that secrets are sealed with.
 *
 * The keys come from a file or from the output of a command, one per line, and are read at
 * every use.  So a changed file counts at once, and no backend keeps a key longer than one
 * call.  No error shows any part of a line.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "base/ascii.h"
#include "base/errors.h"
#include "base/wipe.h"
#include "secret/key.h"

#define KEYS_MAX_BYTES 16384	/* of the file, or of what the command prints */

/* promote.secret_key_file and promote.secret_key_command; '' for none. */
static char *key_file;
static char *key_command;

/* Define the settings for keys. */
void
secret_key_init(void)
{
	DefineCustomStringVariable("promote.secret_key_file",
							   "Sets the file with the keys that secrets are encrypted with.",
							   "Each line is an id, a colon and 32 bytes in base64; the first is the key to encrypt with. "
							   "Only the server's user may have access to it.",
							   &key_file,
							   "",
							   PGC_SUSET,
							   GUC_SUPERUSER_ONLY,
							   NULL,
							   NULL,
							   NULL);
	DefineCustomStringVariable("promote.secret_key_command",
							   "Sets the shell command that prints the keys that secrets are encrypted with.",
							   "It prints what promote.secret_key_file would hold, and runs as the server's user whenever "
							   "a key is needed.",
							   &key_command,
							   "",
							   PGC_SUSET,
							   GUC_SUPERUSER_ONLY,
							   NULL,
							   NULL,
							   NULL);
}

/* ---- reading the keys ---- */

/* Refuse unusable keys.  The reason must show nothing of them. */
static void
refuse_keys(const char *reason)
{
	ereport(ERROR,
			(errcode(PM_UNUSABLE_SECRET_KEY),
			 errmsg("the keys for secrets cannot be used"),
			 errdetail_internal("%s", reason),
			 errhint("See the settings promote.secret_key_file and promote.secret_key_command, of which one is set, and doc/reference/secret.md.")));
}

/* Refuse unusable keys because of an error of the operating system. */
static void
refuse_by_system(const char *what)
{
	refuse_keys(psprintf("%s: %m.", what));
}

/* Read a file to its end, and refuse one that is too large.  Returns the number of bytes. */
static int
read_all(int file, char *text)
{
	int			length = 0;

	for (;;)
	{
		ssize_t		got = read(file, text + length, KEYS_MAX_BYTES + 1 - length);

		if (got < 0 && errno == EINTR)
		{
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (got < 0)
			refuse_by_system("They could not be read");
		length += got;
		if (length > KEYS_MAX_BYTES)
			refuse_keys(psprintf("There are more than %d bytes.", KEYS_MAX_BYTES));
		if (got == 0)
			return length;
	}
}

/*
 * Refuse a file that others could read or have written.  The rule is that of PostgreSQL's
 * ssl_key_file: a file of root may be readable by its group, because the server could not read
 * it otherwise.
 */
static void
check_file(int file)
{
	struct stat status;

	if (fstat(file, &status) != 0)
		refuse_by_system("The file could not be looked at");
	if (!S_ISREG(status.st_mode))
		refuse_keys("It is not a regular file.");
	if (status.st_uid != geteuid() && status.st_uid != 0)
		refuse_keys("The file belongs neither to the server's user nor to root.");
	if (status.st_mode & (status.st_uid == geteuid() ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO))
		refuse_keys("The file has group or world access: its mode has to be 0600 or less, or 0640 or less if root owns it.");
}

/* Read the key file.  The checks are of the opened file, so exchanging the name meanwhile does not matter. */
static int
read_file(char *text)
{
	/* do not block on a pipe that has no writer */
	int			file = OpenTransientFile(key_file, O_RDONLY | O_NONBLOCK | PG_BINARY);
	int			length;

	if (file < 0)
		refuse_by_system("The file could not be opened");
	check_file(file);
	length = read_all(file, text);
	CloseTransientFile(file);
	return length;
}

/*
 * Read the output of the key command, which must succeed.  stdio is avoided, because its
 * buffer would keep the keys.
 */
static int
read_command(char *text)
{
	FILE	   *pipe = OpenPipeStream(key_command, "r");
	bool		failed;
	int			length;

	if (pipe == NULL)
		refuse_by_system("The command could not be started");
	length = read_all(fileno(pipe), text);
	failed = ClosePipeStream(pipe) != 0;
	/* a cancelled query also kills the command: then report the cancellation */
	CHECK_FOR_INTERRUPTS();
	if (failed)
		refuse_keys("The command failed; what it has to say of that is in the server's log.");
	return length;
}

/* Was a setting given a value?  It is NULL before its first default. */
static bool
is_set(const char *setting)
{
	return setting && setting[0] != '\0';
}

/* Read the keys from the place that the settings name.  Returns the number of bytes. */
static int
read_keys(char *text)
{
	if (!is_set(key_file) && !is_set(key_command))
		ereport(ERROR,
				(errcode(PM_NO_SECRET_KEY),
				 errmsg("no key for secrets is configured"),
				 errdetail("Neither promote.secret_key_file nor promote.secret_key_command is set."),
				 errhint("Let a superuser set one of them, see doc/reference/secret.md. Everything else works without.")));
	if (is_set(key_file) && is_set(key_command))
		refuse_keys("Both a file and a command are set, and nothing says which of them counts.");
	return is_set(key_file) ? read_file(text) : read_command(text);
}

/* ---- parsing the keys ---- */

/* Is it a valid id of a key? */
bool
secret_key_is_id(const char *id, int length)
{
	return length <= SECRET_KEY_ID_LENGTH && ascii_is_word(id, length, "_.-");
}

/* Refuse a line. */
static void
refuse_line(int number, const char *reason)
{
	refuse_keys(psprintf("Line %d %s.", number, reason));
}

/* Parse a line, and add its key. */
static void
add_key(SecretKeys *keys, const char *line, int length, int number)
{
	const char *colon = memchr(line, ':', length);
	SecretKey  *key = &keys->keys[keys->count];
	int			id_length = colon ? colon - line : 0;

	if (!secret_key_is_id(line, id_length))
		refuse_line(number, "does not begin with the key's id, of letters, digits, underscores, dots and dashes, and a colon");
	if (keys->count == SECRET_KEYS_MAX)
		refuse_keys(psprintf("There are more than %d keys.", SECRET_KEYS_MAX));
	memcpy(key->id, line, id_length);
	key->id[id_length] = '\0';
	if (secret_key_find(keys, key->id))
		refuse_line(number, "has the id of a key before");
	if (pg_b64_decode(colon + 1, length - id_length - 1, (void *) key->bytes, SECRET_KEY_BYTES) != SECRET_KEY_BYTES)
		refuse_line(number, psprintf("does not have %d bytes in base64 behind the colon", SECRET_KEY_BYTES));
	keys->count++;
}

/* The length of a line without white space at its end, such as a carriage return. */
static int
trimmed(const char *line, int length)
{
	while (length > 0 && strchr(" \t\r", line[length - 1]) && line[length - 1] != '\0')
		length--;
	return length;
}

/* Parse all lines. */
static void
parse_keys(const char *text, int length, SecretKeys *keys)
{
	const char *end = text + length;

	for (int number = 1; text < end; number++)
	{
		const char *newline = memchr(text, '\n', end - text);
		int			line = trimmed(text, (newline ? newline : end) - text);

		if (line > 0 && *text != '#')
			add_key(keys, text, line, number);
		text = newline ? newline + 1 : end;
	}
	if (keys->count == 0)
		refuse_keys("There is none.");
}

/*
 * Read the keys into wiped memory, which the caller frees by wiped_free.  Raises
 * PM_NO_SECRET_KEY and PM_UNUSABLE_SECRET_KEY.
 */
SecretKeys *
secret_keys_load(void)
{
	SecretKeys *keys = wiped_alloc(sizeof(SecretKeys));
	char	   *text = wiped_alloc(KEYS_MAX_BYTES + 1);

	parse_keys(text, read_keys(text), keys);
	wiped_free(text);
	return keys;
}

/* The key with that id; NULL: none. */
const SecretKey *
secret_key_find(const SecretKeys *keys, const char *id)
{
	for (int i = 0; i < keys->count; i++)
		if (strcmp(keys->keys[i].id, id) == 0)
			return &keys->keys[i];
	return NULL;
}
