# Warnings, hardening and sanitizers, for every target.
add_compile_definitions(_GNU_SOURCE CLAWCHAT_VERSION="${PROJECT_VERSION}"
	# ipsec-mb lays out struct gcm_key_data by this define: one layout for all.
	LINUX)
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes
	-Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -fno-common)
if(CLAWCHAT_WERROR)
	add_compile_options(-Werror)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
	add_compile_options(-Wthread-safety)
endif()

if(CLAWCHAT_SANITIZE STREQUAL "address")
	add_compile_definitions(CLAWCHAT_SANITIZE_ADDRESS)
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
elseif(CLAWCHAT_SANITIZE STREQUAL "thread")
	add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
	add_link_options(-fsanitize=thread)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
	add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
	add_link_options(-Wl,-z,relro,-z,now -pie)
endif()
if(CLAWCHAT_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(CLAWCHAT_COVERAGE)
	add_compile_options(--coverage -fprofile-update=atomic) # threads count, too
	add_link_options(--coverage)
endif()
