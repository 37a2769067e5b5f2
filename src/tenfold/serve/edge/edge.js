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

function verified(r) {
    const text = r.headersIn['X-Tenfold-Slots'] || r.variables.cookie_tenfold_slots || '';
    const at = text.lastIndexOf('.');
    if (at < 4 || text.length > MAX_TOKEN || text.slice(0, 3) !== 'v1.') {
        return {};
    }
    const payload = text.slice(0, at), mac = text.slice(at + 1);
    let good = false;
    for (let i = 0; i < secrets.slots.length; i++) {
        const key = Buffer.from(secrets.slots[i], 'hex');
        if (same(crypto.createHmac('sha256', key).update(payload).digest('base64url'), mac)) {
            good = true;
        }
    }
    if (!good) {
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

function decoded(header) {
    if (!/^(?:[A-Za-z0-9_.~ -]|%[0-9A-Fa-f]{2})*$/.test(header)) {
        return '';
    }
    try {
        return decodeURIComponent(header);      // throws for what is not UTF-8
    } catch (e) {
        return '';
    }
}

function value(r, name) {
    let found = '';
    if (r.variables.tf_trusted === '1') {
        found = decoded(r.headersIn['X-Tenfold-Slot-' + name.replace(/_/g, '-')] || '');
    }
    if (!found || found.length > MAX_VALUE) {
        if (token === undefined) {
            token = verified(r);
        }
        found = token[name];
    }
    return typeof found === 'string' && found.length <= MAX_VALUE ? clean(found) : '';
}

// ---- escaping: one test when there is nothing to do, which is most of the time

const XML = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'};

function json(v) {
    return /["\\\x00-\x1f]/.test(v) ? JSON.stringify(v).slice(1, -1) : v;
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
