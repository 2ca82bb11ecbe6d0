#include "relay/preparer.h"

#include <errno.h>
#include <pthread.h>

#include "crypto/random.h"
#include "crypto/secret.h"

struct preparer {
	struct preparer_config config; /* immutable after start */
	pthread_t thread;

	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t changed;
	struct security_file_root root;
	bool is_ready;
	bool is_stopping;
};

static void *run(void *state)
{
	struct preparer *p = state;
	struct random_source random = random_system();
	struct security_file_root root;
	pthread_mutex_lock(&p->lock);
	while (!p->is_stopping) {
		if (p->is_ready) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		security_file_prepare(view_of(p->config.bootstrap, sizeof(p->config.bootstrap)),
				      p->config.iterations, &random, &root);
		pthread_mutex_lock(&p->lock);
		p->root = root;
		p->is_ready = true;
		bytes_wipe(&root, sizeof(root));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void destroy(struct preparer *p)
{
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	secret_destroy(p, sizeof(*p));
}

int preparer_start(struct preparer **out, const struct preparer_config *config)
{
	struct preparer *p = secret_create(sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->config = *config;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	int result = pthread_create(&p->thread, NULL, run, p);
	if (result != 0) {
		destroy(p);
		return -result;
	}
	pthread_setname_np(p->thread, "preparer");
	*out = p;
	return 0;
}

void preparer_stop(struct preparer *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_stopping = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	destroy(p);
}

bool preparer_take(struct preparer *p, struct security_file_root *root)
{
	pthread_mutex_lock(&p->lock);
	bool is_ready = p->is_ready;
	if (is_ready) {
		*root = p->root;
		bytes_wipe(&p->root, sizeof(p->root));
		p->is_ready = false;
		pthread_cond_signal(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return is_ready;
}
