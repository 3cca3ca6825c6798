/*
 * fuzz_portmap.c - the procedures of program 100000 with any arguments.
 *
 * The input: version (1 byte), procedure (1 byte), arguments.
 */
#include "memory_wire.h"
#include "rpc/portmap_priv.h"

static void on_shutdown(void *data)
{
    *(bool *)data = true;
}

static void put_call(struct memory_wire *wire, struct reader input)
{
    uint8_t version = 0, procedure = 0;
    struct writer writer;

    if (!reader_u8(&input, &version) || !reader_u8(&input, &procedure))
        return;
    writer_init_growing(&writer, 1 << 20);
    writer_be32(&writer, 0x80000000u | (uint32_t)(40 + input.left));
    writer_be32(&writer, 1);
    writer_be32(&writer, ONC__CALL);
    writer_be32(&writer, ONC__VERSION);
    writer_be32(&writer, ONC__PORTMAP_PROGRAM);
    writer_be32(&writer, 2 + version % 3);
    writer_be32(&writer, procedure % 14);
    writer_zeros(&writer, 16);
    writer_bytes(&writer, input.at, input.left);
    invariant(!writer.failed);
    wire_put(wire, writer.data, writer.length);
    writer_free(&writer);
    invariant(wire->closed || wire->replies == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct onc_mapping mappings[] = {
        {100003, 3, ONC_TCP, 2049}, {100005, 3, ONC_UDP, 20048}, {0, 0, ONC_TCP, 1}};
    struct net_address addresses[2] = {{.sa.any.sa_family = AF_INET}, {.sa.any.sa_family = AF_INET6}};
    const struct onc__map map = {
        .addresses = addresses, .address_count = 2, .mappings = mappings, .mapping_count = 3};
    struct onc_program programs[ONC__PORTMAP_VERSIONS];
    struct loop *loop = simloop_new(1);
    struct onc_server *server;
    struct onc_service *service;
    struct memory_wire wire;
    bool done = false;

    log_set_level(LOG_LEVEL_ERROR);
    invariant(onc_server_open(loop, NULL, &server) == ERR_OK);
    invariant(onc_service_open(server, "portmap", &service) == ERR_OK);
    invariant(onc__portmap_serve(service, &map, programs) == ERR_OK);
    wire_open(&wire, loop, service);
    if (size < 500000)
        put_call(&wire, reader_of(data, size));
    wire_end(&wire);
    onc_server_shutdown(server, on_shutdown, &done);
    for (int i = 0; i < 10 && !done; i++)
        loop_run_once(loop, false);
    invariant(done);
    onc_server_close(&server);
    loop_close(&loop);
    invariant(buf_bytes_in_use() == 0);
    return 0;
}
