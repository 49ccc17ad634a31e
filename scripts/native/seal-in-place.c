// Owns: sealing and opening one segment where it lies: AES-256-GCM by the OpenSSL that Node.js exports (decision 56).
// Must never: read or write outside of the buffers that it is given, leave a byte readable whose tag did not verify, or
// keep a key after a call. No JavaScript runs between the check of an argument and its use, so nothing can change it.
#include <node_api.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

enum { KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16, LENGTH_MAX = 1 << 30 };

// Each thread that loads the piece has an instance of its own.
typedef struct { EVP_CIPHER *cipher; EVP_CIPHER_CTX *context; } Instance;
typedef struct { uint8_t *at; size_t length; } Bytes;

static bool read_bytes(napi_env env, napi_value value, Bytes *out) {
  bool is_typed = false;
  napi_typedarray_type type = napi_int8_array;
  void *data = NULL;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed ||
      napi_get_typedarray_info(env, value, &type, &out->length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    napi_throw_type_error(env, NULL, "key, nonce and buffer must be Uint8Arrays");
    return false;
  }
  out->at = data;
  // Memory that was detached has no length any more; this only makes sure.
  if (data == NULL) out->length = 0;
  return true;
}

static bool read_count(napi_env env, napi_value value, size_t *out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    napi_throw_type_error(env, NULL, "offset, length and offset of the tag must be numbers");
    return false;
  }
  if (!(number >= 0 && number <= 9007199254740991.0) || number != (double)(uint64_t)number) {
    napi_throw_range_error(env, NULL, "offset, length and offset of the tag must be whole numbers from 0 on");
    return false;
  }
  *out = (size_t)number;
  return true;
}

static const char *fault_of(Bytes key, Bytes nonce, Bytes buffer, size_t offset, size_t length, size_t tag) {
  if (key.length != KEY_BYTES) return "the key must have 32 bytes";
  if (nonce.length != NONCE_BYTES) return "the nonce must have 12 bytes";
  if (length > LENGTH_MAX) return "the segment is too long";
  if (offset > buffer.length || length > buffer.length - offset) return "the segment is outside of the buffer";
  if (buffer.length < TAG_BYTES || tag > buffer.length - TAG_BYTES) return "the tag is outside of the buffer";
  if (length > 0 && tag < offset + length && offset < tag + TAG_BYTES) return "the tag is inside the segment";
  return NULL;
}

typedef enum { DONE, FAILED, FORGED } Outcome;

static Outcome run(Instance *own, bool seals, Bytes key, Bytes nonce, Bytes segment, uint8_t *tag) {
  EVP_CIPHER_CTX *context = own->context;
  uint8_t rest[EVP_MAX_BLOCK_LENGTH];
  int length = (int)segment.length, done = 0;
  ERR_set_mark();
  bool is_through = EVP_CipherInit_ex(context, own->cipher, NULL, key.at, nonce.at, seals) == 1 &&
                    (seals || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1) &&
                    (length == 0 || EVP_CipherUpdate(context, segment.at, &done, segment.at, length) == 1) &&
                    done == length;
  bool is_verified = is_through && EVP_CipherFinal_ex(context, rest, &done) == 1;
  bool is_done = is_verified && (!seals || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1);
  // This also wipes the key.
  EVP_CIPHER_CTX_reset(context);
  ERR_pop_to_mark();
  if (is_done) return DONE;
  OPENSSL_cleanse(segment.at, segment.length);
  return is_through && !seals ? FORGED : FAILED;
}

// Arguments: key, nonce, buffer, offset, length, offset of the tag. `data` is not NULL in `seal`.
static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 6, offset, length, tag;
  napi_value arguments[6];
  void *seals = NULL, *own = NULL;
  Bytes key, nonce, buffer;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, &seals) != napi_ok ||
      napi_get_instance_data(env, &own) != napi_ok || own == NULL) {
    napi_throw_error(env, NULL, "sealing in place is not ready");
    return NULL;
  }
  if (!read_bytes(env, arguments[0], &key) || !read_bytes(env, arguments[1], &nonce) ||
      !read_bytes(env, arguments[2], &buffer) || !read_count(env, arguments[3], &offset) ||
      !read_count(env, arguments[4], &length) || !read_count(env, arguments[5], &tag))
    return NULL;
  const char *fault = fault_of(key, nonce, buffer, offset, length, tag);
  if (fault != NULL) {
    napi_throw_range_error(env, NULL, fault);
    return NULL;
  }
  Bytes segment = {buffer.at + offset, length};
  Outcome outcome = run(own, seals != NULL, key, nonce, segment, buffer.at + tag);
  if (outcome == FORGED) napi_throw_error(env, "corrupt", "the tag does not verify");
  if (outcome == FAILED) napi_throw_error(env, NULL, "OpenSSL failed");
  return NULL;
}

static void end(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  Instance *own = data;
  EVP_CIPHER_CTX_free(own->context);
  EVP_CIPHER_free(own->cipher);
  free(own);
}

NAPI_MODULE_INIT() {
  static char seals;
  napi_value seal, open;
  Instance *own = calloc(1, sizeof *own);
  if (own == NULL) return NULL;
  own->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  own->context = EVP_CIPHER_CTX_new();
  if (own->cipher == NULL || own->context == NULL || napi_set_instance_data(env, own, end, NULL) != napi_ok) {
    end(env, own, NULL);
    napi_throw_error(env, NULL, "OpenSSL has no AES-256-GCM");
    return NULL;
  }
  if (napi_create_function(env, "seal", NAPI_AUTO_LENGTH, call, &seals, &seal) != napi_ok ||
      napi_create_function(env, "open", NAPI_AUTO_LENGTH, call, NULL, &open) != napi_ok ||
      napi_set_named_property(env, exports, "seal", seal) != napi_ok ||
      napi_set_named_property(env, exports, "open", open) != napi_ok)
    napi_throw_error(env, NULL, "the functions could not be made");
  return exports;
}
