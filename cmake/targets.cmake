# check, tidy, format: the scripts of tests/, as targets of a build folder.

# Every program of a folder and those below it.
function(programs_below folder result)
	get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
	get_property(below DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
	set(found "")
	foreach(target ${targets})
		get_target_property(type ${target} TYPE)
		if(type STREQUAL "EXECUTABLE")
			list(APPEND found ${target})
		endif()
	endforeach()
	foreach(inner ${below})
		programs_below(${inner} deeper)
		list(APPEND found ${deeper})
	endforeach()
	set(${result} ${found} PARENT_SCOPE)
endfunction()

function(add_script name)
	add_custom_target(${name} COMMAND ${ARGN}
		WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} USES_TERMINAL VERBATIM)
endfunction()

add_script(check tests/run --build-dir ${PROJECT_BINARY_DIR} --no-build)
programs_below(${PROJECT_SOURCE_DIR} programs)
if(programs)
	add_dependencies(check ${programs})
endif()
add_script(tidy tests/tidy)
add_script(format tests/tidy --format)
