// What nginx cannot say in its own language: partitions, slot values, escaping, purge by key.
// njs 0.7.9 (Debian 12). A fresh copy of this module answers each request: its variables are that request's.
import crypto from 'crypto';
import fs from 'fs';

const CACHE = '@CACHE@';
const MAX_VALUE = 1024;     // characters
const MAX_TOKEN = 4096;     // characters
const HEADER_BYTES = 336;   // of a stored file, before its key (nginx 1.22, format 5)
const FORMAT = 5;

// ---- who may share an answer

function partition(r) {
    const h = r.headersIn;
    return crypto.createHash('sha256')
        .update((h['Authorization'] || '') + '\n' + (h['X-Api-Key'] || '')).digest('hex');
}

// ---- slot values

let token;      // of this request, verified once

function same(a, b) {       // in a time that does not tell where they differ
    if (a.length !== b.length) {
        return false;
    }
    let differ = 0;
    for (let i = 0; i < a.length; i++) {
        differ |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }
    return differ === 0;
}

function sealed(a, b) {     // the same for two MACs of 32 bytes: eight steps instead of 43
    if (b.length !== 32) {
        return false;
    }
    let differ = 0;
    for (let i = 0; i < 32; i += 4) {
        differ |= a.readInt32LE(i) ^ b.readInt32LE(i);
    }
    return differ === 0;
}

function verified(r) {
    const text = r.headersIn['X-Tenfold-Slots'] || r.variables.cookie_tenfold_slots || '';
    const at = text.lastIndexOf('.');
    if (at < 4 || text.length > MAX_TOKEN || text.slice(0, 3) !== 'v1.') {
        return {};
    }
    const payload = text.slice(0, at), mac = text.slice(at + 1);
    const said = Buffer.from(mac, 'base64url');
    let good = false;
    for (let i = 0; i < secrets.slots.length; i++) {
        const key = Buffer.from(secrets.slots[i], 'hex');
        good = sealed(crypto.createHmac('sha256', key).update(payload).digest(), said) || good;
    }
    if (!good || mac.length !== 43) {
        return {};
    }
    try {
        const plain = JSON.parse(Buffer.from(payload.slice(3), 'base64url').toString());
        return plain.exp > Date.now() / 1000 ? plain.slots || {} : {};
    } catch (e) {
        return {};
    }
}

function clean(value) {
    return value.indexOf('\0') < 0 ? value : value.replace(/\0/g, '\ufffd');
}

// nginx looked at the trusted hop's header already: it is empty or percent-encoded text.
function value(r, name) {
    let found = r.variables['tf_hop_' + name];
    if (found) {
        try {
            found = decodeURIComponent(found);      // throws for what is not UTF-8
        } catch (e) {
            found = '';
        }
    }
    if (!found || found.length > MAX_VALUE) {
        if (token === undefined) {
            token = verified(r);
        }
        found = token[name];
    }
    return typeof found === 'string' && found.length <= MAX_VALUE ? clean(found) : '';
}

// ---- escaping. A regular expression costs more here (1.3 us) than JSON.stringify (0.8 us).

const XML = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'};

function json(v) {
    return JSON.stringify(v).slice(1, -1);
}

function html(v) {
    return /[&<>]/.test(v) ? v.replace(/[&<>]/g, (c) => XML[c]) : v;
}

function attr(v) {
    return /[&<>"']/.test(v) ? v.replace(/[&<>"']/g, (c) => XML[c]) : v;
}

function url(v) {
    return encodeURIComponent(v).replace(/[!'()*]/g,
        (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
}

function js(v) {
    return json(v).replace(/[&'`$<>\u2028\u2029]/g,
        (c) => '\\u' + ('000' + c.charCodeAt(0).toString(16)).slice(-4));
}

// ---- purge: each stored file has its answer's Surrogate-Key line near its start

function purge(r) {
    if (!same(r.headersIn['Authorization'] || '', 'Bearer ' + secrets.purge)) {
        r.return(404);
        return;
    }
    if (r.method !== 'POST') {
        r.return(405);
        return;
    }
    const wanted = {};
    (r.headersIn['Surrogate-Key'] || '').split(/[ ,]+/).forEach((k) => { if (k) { wanted[k] = true; } });
    const soft = r.headersIn['X-Tenfold-Purge'] === 'soft';
    const folders = [];
    listed(CACHE).forEach((one) => listed(one).forEach((two) => folders.push(two)));
    let purged = 0;
    function some() {       // one folder at a time: the worker answers others in between
        const folder = folders.pop();
        if (folder === undefined) {
            r.headersOut['Content-Type'] = 'application/json';
            r.headersOut['Cache-Control'] = 'no-store';
            r.return(200, JSON.stringify({purged: purged}));
            return;
        }
        listed(folder).forEach((path) => { purged += examine(r, path, wanted, soft); });
        setTimeout(some, 0);
    }
    some();
}

function listed(folder) {
    try {
        return fs.readdirSync(folder).map((name) => folder + '/' + name);
    } catch (e) {
        return [];      // gone meanwhile
    }
}

function examine(r, path, wanted, soft) {
    let file;
    try {
        file = fs.openSync(path, 'r+');
    } catch (e) {
        return 0;
    }
    try {
        const head = Buffer.alloc(HEADER_BYTES);
        fs.readSync(file, head, 0, HEADER_BYTES, 0);
        const format = head.readUInt32LE(0);
        const start = head.readUInt16LE(54), end = head.readUInt16LE(56);
        if (format !== FORMAT || end <= start) {
            return 0;
        }
        const text = Buffer.alloc(end - start);
        fs.readSync(file, text, 0, end - start, start);
        const found = /\r\nSurrogate-Key: *([^\r\n]*)/i.exec(text.toString());
        if (!found || !found[1].split(/[ ,]+/).some((k) => wanted[k])) {
            return 0;
        }
        if (soft) {     // valid_sec, where nginx reads for how long the answer is fresh
            const stamp = Buffer.alloc(8);
            stamp.writeUInt32LE(Math.floor(Date.now() / 1000) - 1, 0);
            fs.writeSync(file, stamp, 0, 8, 8);
        } else {
            fs.unlinkSync(path);
        }
        return 1;
    } catch (e) {
        r.error('purge: ' + e.message);
        return 0;
    } finally {
        fs.closeSync(file);
    }
}

export default {partition, purge@EXPORTS@};
