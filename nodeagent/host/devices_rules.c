/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/devices.h"

#include "base/json.h"

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (str_hex_digit(s.at[i]) < 0)
            return false;
    return s.len > 0;
}

bool devices_is_address(struct str s)
{
    return s.len == 12 && s.at[4] == ':' && s.at[7] == ':' && s.at[10] == '.' &&
           is_hex(str_slice(s, 0, 4)) && is_hex(str_slice(s, 5, 7)) &&
           is_hex(str_slice(s, 8, 10)) && s.at[11] >= '0' && s.at[11] <= '7';
}

/* The same with a * that stands for the rest. */
static bool is_pattern(struct str s)
{
    static const char whole[] = "0000:00:00.0";
    char filled[sizeof whole];
    if (s.len == 0 || s.at[s.len - 1] != '*')
        return devices_is_address(s);
    if (s.len > sizeof whole)
        return false;
    memcpy(filled, whole, sizeof whole);
    memcpy(filled, s.at, s.len - 1);
    return devices_is_address(str_of(filled));
}

/* A qualified name, as extended resources have (Kubernetes: IsExtendedResourceName). */
static bool is_resource(struct str s)
{
    size_t slash = str_find(s, '/', 0);
    struct str domain = str_slice(s, 0, slash), name = str_slice(s, slash + 1, s.len);
    if (slash == s.len || name.len == 0 || name.len > 63 || domain.len > 253 ||
        str_find(domain, '.', 0) == domain.len || str_ends(domain, STR("kubernetes.io")) ||
        str_starts(domain, STR("requests.")))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool inside = c == '-' || c == '.';
        bool of_name = i > slash && (c == '_' || (c >= 'A' && c <= 'Z'));
        if (!letter && !inside && !of_name && i != slash)
            return false;
    }
    return true;
}

/* The device may be had by the thousandth, as NAME-milli (api/parts.h), unless it has one holder or counts them. */
static enum err_code read_milli(const struct json *from, const char *list, uint32_t i,
                                struct device_rule *out, struct err *e)
{
    const struct json *milli = json_find(from, STR("milli"));
    if (milli == NULL)
        return ERR_OK;
    if (milli->type != JSON_BOOL)
        return err_set(e, ERR_INVALID, "%s[%u].milli: wants true or false", list, i);
    if (milli->truth && (out->vfio || out->shares > 1))
        return err_set(e, ERR_INVALID, "%s[%u].milli: excludes %s", list, i,
                       out->vfio ? "driver: vfio-pci, which has one holder" : "shares");
    out->milli = milli->truth;
    return ERR_OK;
}

static enum err_code read_resource(const struct json *from, const char *list, uint32_t i,
                                   struct device_rule *out, struct err *e)
{
    out->resource = json_text(json_find(from, STR("resourceName")));
    if (!is_resource(out->resource))
        return err_set(e, ERR_INVALID, "%s[%u].resourceName: wants a name like vendor.com/name",
                       list, i);
    if (str_ends(out->resource, STR("-milli")))
        return err_set(e, ERR_INVALID,
                       "%s[%u].resourceName: -milli is what thousandths of a device are called",
                       list, i);
    return read_milli(from, list, i, out, e);
}

static bool read_ids(struct str text, struct device_rule *out)
{
    struct str vendor = str_slice(text, 0, str_find(text, ':', 0));
    struct str device = str_slice(text, vendor.len + 1, text.len);
    if (!is_hex(vendor) || !is_hex(device) || vendor.len != 4 || device.len != 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        out->vendor = out->vendor << 4 | (uint32_t)str_hex_digit(vendor.at[i]);
        out->device = out->device << 4 | (uint32_t)str_hex_digit(device.at[i]);
    }
    return true;
}

static enum err_code read_pci(const struct json *from, uint32_t i, struct device_rule *out,
                              struct err *e)
{
    const struct json *ids = json_find(from, STR("pciVendorSelector"));
    const struct json *address = json_find(from, STR("pciAddress"));
    const struct json *parent = json_find(from, STR("physicalFunction"));
    const struct json *driver = json_find(from, STR("driver"));
    out->address = json_text(address);
    out->parent = json_text(parent);
    out->vfio = driver != NULL;
    out->shares = 1;
    if (ids == NULL && address == NULL && parent == NULL)
        return err_set(e, ERR_INVALID,
                       "pciHostDevices[%u]: wants pciVendorSelector, pciAddress or "
                       "physicalFunction",
                       i);
    if (ids != NULL && !read_ids(json_text(ids), out))
        return err_set(e, ERR_INVALID, "pciHostDevices[%u].pciVendorSelector: wants 8086:154C", i);
    if (address != NULL && !is_pattern(out->address))
        return err_set(e, ERR_INVALID,
                       "pciHostDevices[%u].pciAddress: wants 0000:3b:02.0 or "
                       "0000:3b:*",
                       i);
    if (parent != NULL && !devices_is_address(out->parent))
        return err_set(e, ERR_INVALID, "pciHostDevices[%u].physicalFunction: wants 0000:3b:00.0",
                       i);
    if (driver != NULL && !str_is(json_text(driver), "vfio-pci"))
        return err_set(e, ERR_INVALID, "pciHostDevices[%u].driver: wants vfio-pci or nothing", i);
    return read_resource(from, "pciHostDevices", i, out, e);
}

static enum err_code read_node(const struct json *from, uint32_t i, struct device_rule *out,
                               struct err *e)
{
    const struct json *shares = json_find(from, STR("shares"));
    int64_t count = 1;
    out->path = json_text(json_find(from, STR("path")));
    if (!str_starts(out->path, STR("/dev/")) || out->path.len > 255 || str_goes_up(out->path))
        return err_set(e, ERR_INVALID, "nodeDevices[%u].path: wants a path below /dev/", i);
    if (shares != NULL &&
        (json_i64(shares, &count) != ERR_OK || count < 1 || count > DEVICES_SHARES_MAX))
        return err_set(e, ERR_INVALID, "nodeDevices[%u].shares: wants 1 to %d", i,
                       DEVICES_SHARES_MAX);
    out->shares = (uint32_t)count;
    return read_resource(from, "nodeDevices", i, out, e);
}

static enum err_code read_list(const struct json *root, const char *name,
                               enum err_code (*read)(const struct json *, uint32_t,
                                                     struct device_rule *, struct err *),
                               struct device_rules *out, struct err *e)
{
    const struct json *list = json_find(root, str_of(name));
    enum err_code code = ERR_OK;
    uint32_t i = 0;
    if (list == NULL)
        return ERR_OK;
    if (list->type != JSON_ARRAY)
        return err_set(e, ERR_INVALID, "%s: wants a list", name);
    for (const struct json *at = list->first; code == ERR_OK && at != NULL; at = at->next) {
        if (out->count == DEVICES_RULES_MAX)
            return err_set(e, ERR_LIMIT, "%s: more than %d rules", name, DEVICES_RULES_MAX);
        code = read(at, i++, &out->at[out->count++], e);
    }
    return code;
}

/* A misspelt name would give nothing away, or too much: a selector that is not known is none. */
static enum err_code names_known(const struct json *root, struct err *e)
{
    static const char *const lists[] = {"pciHostDevices", "nodeDevices"};
    static const char *const fields[] = {"resourceName", "pciVendorSelector",
                                         "pciAddress",   "physicalFunction",
                                         "driver",       "path",
                                         "shares",       "milli"};
    for (const struct json *list = root->first; list != NULL; list = list->next) {
        if (!str_is(list->key, lists[0]) && !str_is(list->key, lists[1]))
            return err_set(e, ERR_INVALID, STR_FMT ": not known; there are %s and %s",
                           STR_ARG(list->key), lists[0], lists[1]);
        for (const struct json *rule = list->first; rule != NULL; rule = rule->next)
            for (const struct json *at = rule->first; at != NULL; at = at->next) {
                bool is_known = false;
                for (size_t k = 0; k < COUNT_OF(fields); k++)
                    is_known |= str_is(at->key, fields[k]);
                if (!is_known)
                    return err_set(e, ERR_INVALID, STR_FMT ": a rule has no such field",
                                   STR_ARG(at->key));
            }
    }
    return ERR_OK;
}

enum err_code devices_rules_read(struct arena *a, struct str text, struct device_rules *out,
                                 struct err *e)
{
    struct json *root = NULL;
    *out = (struct device_rules){.at = arena_zalloc(a, DEVICES_RULES_MAX, sizeof *out->at)};
    enum err_code code = arena_status(a, e);
    if (code == ERR_OK)
        code = json_parse(a, text, &root, e);
    if (code == ERR_OK && root->type != JSON_OBJECT)
        code = err_set(e, ERR_INVALID, "wants an object with pciHostDevices and nodeDevices");
    if (code == ERR_OK)
        code = names_known(root, e);
    if (code == ERR_OK)
        code = read_list(root, "pciHostDevices", read_pci, out, e);
    if (code == ERR_OK)
        code = read_list(root, "nodeDevices", read_node, out, e);
    return code;
}
