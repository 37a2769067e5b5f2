# An edge of tenfold on Varnish, written by `tenfold emit edge varnish`. Debian 12: varnish, varnish-modules.
#     @DIR@/run
# Varnish 7.1 has no HMAC, so it cannot check slot tokens: slot values come from the hops in `trusted`
# (an nginx edge, an application server) and from nobody else. Without such a hop pages show their defaults.
vcl 4.1;

import blob;
import bodyaccess;
import std;
import xkey;

backend origin {
    .host = "@ORIGIN_HOST@";
    .port = "@ORIGIN_PORT@";
    .connect_timeout = 5s;
    .first_byte_timeout = @READ_TIMEOUT_S@s;
    .between_bytes_timeout = @READ_TIMEOUT_S@s;
}

acl trusted {
@TRUSTED@}

sub vcl_recv {
    if (local.socket == "admin") {
        call admin;
    }
    if (req.esi_level > 0) {
        # An include of one of our templates: text of models and users cannot make one (templates.py).
        if (req.url ~ "^/\.tenfold/slot/") {
            return (synth(290));
        }
        return (synth(404));
    }
    if (req.url ~ "^/\.tenfold(?:/|$)" || req.url !~ "^/") {
        return (synth(404));
    }
    if (req.restarts == 0) {
        unset req.http.X-Tf-Rescue;
        unset req.http.X-Tf-Value;
        # What could make an answer personal does not reach the origin.
        unset req.http.Cookie;
        unset req.http.X-Tenfold-Slots;
        unset req.http.Accept-Encoding;
        if (client.ip !~ trusted) {
@DROPPED_REQ@
        }
        if (req.http.Host !~ "^[A-Za-z0-9.:\[\]_-]+$") {
            return (synth(400));
        }
        set req.http.Host = std.tolower(req.http.Host);
        set req.http.X-Tf-Method = req.method;
    }
    if (req.method != "GET" && req.method != "HEAD" && req.method != "POST") {
        return (pass);
    }
    if (req.http.Cache-Control ~ "(?i)no-(?:store|cache)") {
        return (pass);
    }
    # A web page asking without a key: whether it may is for the origin to say, each time.
    if (req.http.Origin && !req.http.Authorization && !req.http.X-Api-Key) {
        return (pass);
    }
    if (req.method == "POST") {
        # A body longer than what is held would end the request, and one that comes in chunks has no length.
        if (req.http.Content-Length !~ "^[0-9]{1,5}$"
            || std.integer(req.http.Content-Length, 99999) > 32768) {
            return (pass);
        }
        if (req.restarts == 0 && !std.cache_req_body(40KB)) {
            return (synth(400));
        }
        if (bodyaccess.rematch_req_body("\x22stream\x22\s*:\s*true") == 1) {
            return (pass);
        }
    } else if (req.http.Content-Length ~ "[1-9]" || req.http.Transfer-Encoding) {
        return (pass);
    }
    if (req.http.X-Tf-Rescue == "try") {
        set req.grace = 0s;         # too old to be given unasked
    } else {
        set req.grace = 3650d;      # each answer says itself for how long
    }
    return (hash);
}

sub admin {
    if (req.url != "/.tenfold/purge" || req.http.Authorization != "Bearer @PURGE@") {
        return (synth(404));
    }
    if (req.method != "POST") {
        return (synth(405));
    }
    if (!req.http.Surrogate-Key) {
        set req.http.X-Tf-Value = "0";
    } else if (req.http.X-Tenfold-Purge == "soft") {
        set req.http.X-Tf-Value = xkey.softpurge(req.http.Surrogate-Key);
    } else {
        set req.http.X-Tf-Value = xkey.purge(req.http.Surrogate-Key);
    }
    return (synth(291));
}

sub vcl_hash {
    if (req.method == "POST") {
        hash_data("POST");
    } else {
        hash_data("GET");
    }
    hash_data(req.url);
    hash_data(req.http.Host);
    # Who may share an answer. Varnish puts a # between the parts; in hexadecimal they hold none.
    hash_data(blob.transcode(IDENTITY, HEX, encoded=req.http.Authorization));
    hash_data(blob.transcode(IDENTITY, HEX, encoded=req.http.X-Api-Key));
    if (req.method == "POST") {
        bodyaccess.hash_req_body();
    }
    return (lookup);
}

sub vcl_hit {
    if (obj.ttl >= 0s || req.http.X-Tf-Rescue == "stale") {
        return (deliver);
    }
    if (obj.ttl + std.duration(obj.http.X-Tf-Swr + "s", 0s) > 0s) {
        return (deliver);           # and Varnish fetches a new one behind our back
    }
    set req.http.X-Tf-Rescue = "try";
    return (restart);               # ask the origin first; if it fails, vcl_deliver comes back for this one
}

sub vcl_backend_fetch {
    set bereq.method = bereq.http.X-Tf-Method;
    if (bereq.method == "HEAD" && !bereq.uncacheable) {
        set bereq.method = "GET";
    }
    if (bereq.method == "GET" || bereq.method == "HEAD") {
        unset bereq.body;
    }
    unset bereq.http.X-Tf-Method;
    unset bereq.http.X-Tf-Value;
@DROPPED_BEREQ@
    set bereq.http.Surrogate-Capability = {"tenfold="ESI/1.0""};
    return (fetch);
}

sub vcl_backend_response {
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        return (abandon);           # the old answer stays
    }
    if (beresp.status >= 500 && bereq.http.X-Tf-Rescue == "try") {
        return (error(502, "Bad Gateway"));     # not an object: it would be newer than the old answer
    }
    if (beresp.http.Surrogate-Control || !beresp.was_304) {
        set beresp.http.X-Tf-Control = beresp.http.Surrogate-Control;
    }
    unset beresp.http.Surrogate-Control;
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    if (beresp.status == 200 && beresp.http.X-Tf-Control ~ "content=\x22ESI/1\.0\x22") {
        # Filled here also when it is not kept: nobody further on can. Its validators would vouch for
        # another user's page.
        set beresp.do_esi = true;
        unset beresp.http.ETag;
        unset beresp.http.Last-Modified;
        unset beresp.http.Expires;
        set beresp.http.Cache-Control = "private, no-store";
    }
    if (beresp.status != 200 || bereq.uncacheable || beresp.http.Set-Cookie || beresp.http.Vary == "*"
        || beresp.http.X-Tf-Control !~ "(?:^|[\s,])max-age=[1-9][0-9]{0,8}(?:[\s,]|$)"
        || beresp.http.X-Tf-Control ~ "no-store|no-cache|private"
        || beresp.http.X-Tf-Control ~ "content=\x22(?!ESI/1\.0\x22)") {
        # For two seconds nobody waits for another's answer to this: it may not be shared anyway.
        set beresp.uncacheable = true;
        set beresp.ttl = 2s;
        return (deliver);
    }
    set beresp.ttl = std.duration(
        regsub(beresp.http.X-Tf-Control, "^(?:.*[\s,])?max-age=([0-9]+).*$", "\1s"), 0s);
    set beresp.http.X-Tf-Swr = "0";
    if (beresp.http.X-Tf-Control ~ "stale-while-revalidate=[0-9]{1,9}") {
        set beresp.http.X-Tf-Swr =
            regsub(beresp.http.X-Tf-Control, "^.*stale-while-revalidate=([0-9]+).*$", "\1");
        set beresp.grace = std.duration(beresp.http.X-Tf-Swr + "s", 0s);
    }
    if (beresp.http.X-Tf-Control ~ "stale-if-error=[0-9]{1,9}"
        && std.duration(regsub(beresp.http.X-Tf-Control, "^.*stale-if-error=([0-9]+).*$", "\1s"), 0s)
           > beresp.grace) {
        set beresp.grace =
            std.duration(regsub(beresp.http.X-Tf-Control, "^.*stale-if-error=([0-9]+).*$", "\1s"), 0s);
    }
    if (beresp.http.ETag) {
        set beresp.keep = 1h;       # never given, but checked with the origin: a 304 makes it fresh again
    }
    set beresp.http.xkey = beresp.http.Surrogate-Key;
    return (deliver);
}

sub vcl_backend_error {
    if (bereq.is_bgfetch) {
        return (abandon);
    }
    set beresp.ttl = 0s;
    set beresp.grace = 0s;
    set beresp.status = 502;
    set beresp.http.Content-Type = "application/json";
    set beresp.http.Cache-Control = "no-store";
    set beresp.body = """{"error":{"message":"The origin does not answer.","type":"server_error","param":null,"code":"bad_gateway"}}""";
    return (deliver);
}

sub vcl_deliver {
    if (resp.status >= 500 && req.http.X-Tf-Rescue == "try") {
        set req.http.X-Tf-Rescue = "stale";
        return (restart);
    }
    if (req.http.X-Tf-Rescue == "stale" && obj.hits > 0) {
        set resp.http.X-Tenfold-Edge = "STALE";
    } else if (obj.hits > 0) {
        set resp.http.X-Tenfold-Edge = "HIT";
    } else {
        set resp.http.X-Tenfold-Edge = "MISS";
    }
    unset resp.http.X-Tf-Control;
    unset resp.http.X-Tf-Swr;
    unset resp.http.xkey;
    unset resp.http.Surrogate-Key;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
    unset resp.http.Age;
    return (deliver);
}

sub vcl_synth {
    if (resp.status == 290) {
        call slot;
        set resp.status = 200;
        return (deliver);
    }
    set resp.http.Content-Type = "application/json";
    set resp.http.Cache-Control = "no-store";
    if (resp.status == 291) {
        set resp.status = 200;
        set resp.body = """{"purged":""" + req.http.X-Tf-Value + "}";
        return (deliver);
    }
    set resp.body = """{"error":{"message":"Refused by the edge.","type":"invalid_request_error","param":null,"code":null}}""";
    return (deliver);
}

# A slot's text, escaped for its context. It stays percent-encoded until everything dangerous in it has been
# replaced: headers cannot hold line breaks, and in that form each character is one fixed pattern.
sub slot {
    unset req.http.X-Tf-Value;
@SLOTS@
    if (req.http.X-Tf-Value !~ "^(?:[A-Za-z0-9_.~ -]|%[0-9A-Fa-f]{2})+$") {
        unset req.http.X-Tf-Value;
    } else if (req.http.X-Tf-Value ~ "%") {
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%00", "%EF%BF%BD");
        # Bytes that are no UTF-8 are no value.
        if (blob.transcode(URL, IDENTITY, encoded=req.http.X-Tf-Value) !~
            "^(?:[\x01-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*+$") {
            unset req.http.X-Tf-Value;
        }
    }
    if (!req.http.X-Tf-Value) {
        set req.http.X-Tf-Value = regsub(req.url, "^[^?]*\??", "");
    }
    if (req.url ~ "^/\.tenfold/slot/lt$") {
        set req.http.X-Tf-Value = "<";  # how a template says it where ESI would take it for its own
    } else if (req.url ~ "^/\.tenfold/slot/url/") {
        set resp.body = blob.transcode(URL, URL, UPPER, encoded=req.http.X-Tf-Value);
        return;
    } else if (req.http.X-Tf-Value !~ "%") {
        # Nothing to escape.
    } else if (req.url ~ "^/\.tenfold/slot/j") {
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%(22|5[Cc])", "%5C%\1");
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%([01][0-9A-Fa-f])", "%5Cu00\1");
        if (req.url ~ "^/\.tenfold/slot/js/") {
            set req.http.X-Tf-Value =
                regsuball(req.http.X-Tf-Value, "%(2[467]|3[CcEe]|60)", "%5Cu00\1");
            set req.http.X-Tf-Value =
                regsuball(req.http.X-Tf-Value, "(?i)%E2%80%A([89])", "%5Cu202\1");
        }
    } else {
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%26", "&amp;");
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%3[Cc]", "&lt;");
        set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%3[Ee]", "&gt;");
        if (req.url ~ "^/\.tenfold/slot/attr/") {
            set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%22", "&quot;");
            set req.http.X-Tf-Value = regsuball(req.http.X-Tf-Value, "%27", "&#39;");
        }
    }
    set resp.body = blob.transcode(URL, IDENTITY, encoded=req.http.X-Tf-Value);
}
