# What scripts/prepare.cjs compiles by node-gyp, in a copy of this folder below node_modules.
{
  'targets': [
    {
      'target_name': 'seal-in-place',
      'sources': ['seal-in-place.c'],
      'defines': ['NAPI_VERSION=8'],
      'cflags': ['-O2', '-Wall', '-Wextra'],
    },
  ],
}
