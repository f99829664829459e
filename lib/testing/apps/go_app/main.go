// A few routes on the schema of data/, compiled: an app without our hooks, without a nonce, and with
// an address of its database in one variable.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

type user struct {
	ID       int    `json:"id"`
	Username string `json:"username"`
	FullName string `json:"full_name"`
}

type newPost struct {
	AuthorID int    `json:"author_id"`
	Title    string `json:"title"`
	Body     string `json:"body"`
}

type server struct{ pool *pgxpool.Pool }

func (s server) readUser(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/users/")
	var found user
	err := s.pool.QueryRow(r.Context(),
		"SELECT id, username, full_name FROM users WHERE username = $1", name,
	).Scan(&found.ID, &found.Username, &found.FullName)
	answer(w, http.StatusOK, found, err)
}

func (s server) createPost(w http.ResponseWriter, r *http.Request) {
	var post newPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		http.Error(w, "not JSON", http.StatusUnprocessableEntity)
		return
	}
	var id int
	err := pgx.BeginFunc(r.Context(), s.pool, func(tx pgx.Tx) error {
		var author int
		if err := tx.QueryRow(r.Context(),
			"SELECT id FROM users WHERE id = $1", post.AuthorID,
		).Scan(&author); err != nil {
			return err
		}
		return tx.QueryRow(r.Context(),
			`INSERT INTO posts (author_id, title, body, created_at) VALUES ($1, $2, $3, now())
			RETURNING id`, author, post.Title, post.Body,
		).Scan(&id)
	})
	answer(w, http.StatusCreated, map[string]int{"id": id}, err)
}

func answer(w http.ResponseWriter, status int, body any, err error) {
	if errors.Is(err, pgx.ErrNoRows) {
		http.Error(w, "not found", http.StatusNotFound)
	} else if err != nil {
		log.Printf("failed: %v", err)
		http.Error(w, "failed", http.StatusInternalServerError)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
}

func openPool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(os.Getenv("DB_POOL_SIZE"), 10, 32)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(size)
	if os.Getenv("DB_PREPARED_STATEMENTS") == "false" {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return pgxpool.NewWithConfig(ctx, config)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	pool, err := openPool(ctx)
	if err != nil {
		log.Fatalf("cannot start: %v", err)
	}
	defer pool.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("/users/", server{pool}.readUser)
	mux.HandleFunc("/posts", server{pool}.createPost)
	address := net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT"))
	web := &http.Server{Addr: address, Handler: mux}
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		web.Shutdown(last)
	}()
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("cannot start: %v", err)
	}
}
