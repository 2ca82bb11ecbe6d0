# The libraries used, all from Debian; docs/architecture.md says why each is here.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(libcrypto REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(inih REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(usrsctp REQUIRED IMPORTED_TARGET usrsctp)
pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
find_library(READLINE_LIBRARY readline REQUIRED)
# The fast packet cipher exists on x86-64 only; OpenSSL carries on alone elsewhere.
find_library(IPSECMB_LIBRARY IPSec_MB)
