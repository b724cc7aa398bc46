/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Prints what xl-snapshot.bash needs of the tables of commands and options, as
 * bash.  Run by make, not installed.
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "say.h"

/* An array of the words in `text`. */
static void put_words(const char *indent, const char *name, const char *text)
{
    static const char between[] = " []";
    size_t n;

    printf("%s%s=(", indent, name);
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        AUTO_FREE char *word = NULL;
        AUTO_FREE char *quoted = NULL;

        n = strcspn(text, between);
        word = snap_strndup(text, n);
        quoted = xl_shell_quote(word);
        printf(" %s", quoted);
        text += n;
    }
    printf(" )\n");
}

static char *command_names(void)
{
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; xl_command_at(i); i++)
        snap_text_add(&t, "%s ", xl_command_at(i)->name);
    return t.data;
}

/* "-n:NAME --name:NAME --live": with what each takes. */
static char *option_words(size_t command)
{
    struct snap_text t = { 0 };
    const struct xl_option *o;
    size_t i;

    for (i = 0; (o = xl_option_at(i)); i++) {
        const char *colon = o->arg ? ":" : "", *arg = o->arg ? o->arg : "";

        if (!(o->commands & (1u << command))) continue;
        if (o->letter)
            snap_text_add(&t, "-%c%s%s ", o->letter, colon, arg);
        snap_text_add(&t, "--%s%s%s ", o->name, colon, arg);
    }
    return t.data;
}

int main(void)
{
    AUTO_FREE char *names = command_names();
    AUTO_FREE char *store = xl_shell_quote(SNAP_STORE_DIR);
    size_t i;

    printf("_xl_snapshot_store=%s\n", store);
    put_words("", "_xl_snapshot_commands", names);
    printf("_xl_snapshot_table()\n{\n    case $1 in\n");
    for (i = 0; xl_command_at(i); i++) {
        AUTO_FREE char *words = option_words(i);

        printf("    %s)\n", xl_command_at(i)->name);
        put_words("        ", "arguments", xl_command_at(i)->args);
        put_words("        ", "options", words);
        printf("        ;;\n");
    }
    printf("    esac\n}\n");
    return fflush(stdout) ? 1 : 0;
}
