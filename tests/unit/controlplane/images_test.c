/* SPDX-License-Identifier: Apache-2.0 */
/* Which node a pod goes to for its images. */
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/session.h"

#include <stdio.h>

static void session_images(struct world *w, uint64_t session, const char *name, uint64_t bytes)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Images list = AGENT__IMAGES__INIT;
    Agent__Image one = AGENT__IMAGE__INIT, *all[] = {&one};
    char *names[] = {(char *)name};
    one.names = names;
    one.n_names = 1;
    one.has_size_bytes = true;
    one.size_bytes = bytes;
    list.images = all;
    list.n_images = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_IMAGES;
    m.images = &list;
    session_says(w, session, &m);
}

static void create_of(struct world *w, const char *name, const char *image, char out_node[64])
{
    char key[64];
    struct arena a;
    Core__Pod p = CORE__POD__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__Container k = CORE__CONTAINER__INIT, *list[] = {&k};
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    arena_init(&a, 1 << 20);
    m.name = (char *)name;
    m.namespace_ = (char *)"default";
    k.name = (char *)"a";
    k.image = (char *)image;
    spec.containers = list;
    spec.n_containers = 1;
    p.metadata = &m;
    p.spec = &spec;
    snprintf(key, sizeof key, "/pods/default/%s", name);
    struct blob *object = blob_new(typed_wrap(&a, "v1", "Pod", &p.base));
    uint64_t op = world_write(
        w, &(struct write_request){
               .verb = WRITE_CREATE, .key = str_of(key), .object = object, .dry_run = true});
    session_work(w);
    blob_unref(object);
    cr_assert_eq(w->answers[op].result, WRITE_OK, "%s", w->answers[op].text);
    Core__Pod *made = typed_open(&a, &core__pod__descriptor, blob_str(w->answers[op].object));
    snprintf(out_node, 64, "%s", made->spec->node_name == NULL ? "" : made->spec->node_name);
    arena_free(&a);
}

/* A pod goes where its large image is, under whatever name it asks for it; a small one draws nobody, and none does that all
 * nodes have. */
TEST(images, a_large_image_draws_pods)
{
    static const char *const names[] = {"app", "app:latest", "docker.io/library/app"};
    char node[64], plain[64];
    struct world *w = world_new();
    session_hello(w, 11, "a");
    session_hello(w, 12, "b");
    session_claims(w, 11, 0, NULL);
    session_claims(w, 12, 0, NULL);
    for (uint64_t there = 11; there < 13; there++) {
        const char *name = there == 11 ? "a" : "b";
        session_work(w);
        session_images(w, 23 - there, "docker.io/library/other:1", 1 << 30);
        session_images(w, there, "docker.io/library/app:latest", 20 << 20);
        create_of(w, "p", "nothing", plain); /* Wherever a pod goes that does not care. */
        create_of(w, "p", "app", node);
        cr_expect_str_eq(node, plain, "it is small");
        session_images(w, there, "docker.io/library/app:latest", 1 << 30);
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            create_of(w, "p", names[i], node);
            cr_expect_str_eq(node, name, "%s", names[i]);
        }
        session_images(w, 23 - there, "docker.io/library/app:latest", 1 << 30);
        create_of(w, "p", "nothing", plain);
        create_of(w, "p", "app", node);
        cr_expect_str_eq(node, plain, "all have it");
    }
    world_free(w);
}
